# Compiler, warnings, linker and packages, in one place.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
endif()

find_package(Threads REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(spdlog CONFIG REQUIRED)
if(PANAL_GRPC)
  find_package(Protobuf REQUIRED) # Debian 12 ships only the module form.
  find_package(gRPC CONFIG REQUIRED)
  find_package(prometheus-cpp CONFIG REQUIRED)
endif()
if(PANAL_GRPC OR PANAL_TESTS)
  find_package(CLI11 CONFIG REQUIRED) # For the programs; the simulator's is built with the tests.
endif()
if(PANAL_TESTS)
  find_package(GTest REQUIRED)
endif()
if(PANAL_TESTS AND PANAL_BENCH)
  find_package(benchmark REQUIRED)
endif()

# What every target of ours is compiled with. Generated code is not.
add_library(panal_options INTERFACE)
target_compile_options(panal_options INTERFACE -Wall -Wextra -Werror -Wno-unused-parameter
                                               -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(panal_options INTERFACE -Wthread-safety)
endif()
target_include_directories(panal_options INTERFACE ${CMAKE_SOURCE_DIR})
target_link_libraries(panal_options INTERFACE Threads::Threads)

find_program(LLD_PROGRAM ld.lld)
if(LLD_PROGRAM)
  add_link_options(-fuse-ld=lld)
endif()

if(PANAL_SANITIZE)
  add_compile_options(-fsanitize=${PANAL_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PANAL_SANITIZE})
  if(PANAL_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=all)
  endif()
endif()
