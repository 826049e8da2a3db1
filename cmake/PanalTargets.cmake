# One function a kind of target, so that all targets look alike and DEPS is the layer graph.

# panal_library(NAME base SRCS a.cc … DEPS panal::x …): static library panal_base, alias panal::base.
# With EXCEPTIONS the code may use them; everything else is compiled without.
function(panal_library)
  cmake_parse_arguments(A "EXCEPTIONS" "NAME" "SRCS;DEPS" ${ARGN})
  add_library(panal_${A_NAME} STATIC ${A_SRCS})
  add_library(panal::${A_NAME} ALIAS panal_${A_NAME})
  target_link_libraries(panal_${A_NAME} PUBLIC ${A_DEPS} PRIVATE $<BUILD_INTERFACE:panal_options>)
  target_include_directories(panal_${A_NAME} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>
                                                    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  if(NOT A_EXCEPTIONS)
    target_compile_options(panal_${A_NAME} PRIVATE -fno-exceptions)
  endif()
endfunction()

# panal_precompile(rpc <grpcpp/grpcpp.h>): a precompiled header for the library panal_rpc. Without
# timestamps, so that one from ccache serves after a package upgrade touched headers.
function(panal_precompile name)
  target_precompile_headers(panal_${name} PRIVATE ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(panal_${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()

# panal_program(NAME panald SRCS … DEPS …): an executable in bin/.
function(panal_program)
  cmake_parse_arguments(A "" "NAME" "SRCS;DEPS" ${ARGN})
  add_executable(${A_NAME} ${A_SRCS})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS} panal_options)
endfunction()

# panal_test(NAME units_test LABEL unit SRCS … DEPS …): a GoogleTest program, one ctest entry.
# TIMEOUT is in seconds and defaults to 60; five times that under a sanitizer (Guess: what it slows by,
# with a busy machine).
function(panal_test)
  cmake_parse_arguments(A "" "NAME;LABEL;TIMEOUT" "SRCS;DEPS" ${ARGN})
  add_executable(${A_NAME} ${A_SRCS})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS} panal_options GTest::gmock_main)
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 60)
  endif()
  if(PANAL_SANITIZE)
    math(EXPR A_TIMEOUT "5 * ${A_TIMEOUT}")
  endif()
  add_test(NAME ${A_NAME} COMMAND ${A_NAME})
  set_tests_properties(${A_NAME} PROPERTIES LABELS ${A_LABEL} TIMEOUT ${A_TIMEOUT})
endfunction()

# panal_fuzzer(NAME query_fuzzer SRCS … DEPS …): a libFuzzer program and its ten-second ctest entry.
# The corpus lies in tests/fuzz/corpus/NAME.
function(panal_fuzzer)
  cmake_parse_arguments(A "" "NAME" "SRCS;DEPS" ${ARGN})
  if(NOT PANAL_FUZZ)
    return()
  endif()
  add_executable(${A_NAME} ${A_SRCS})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS} panal_options)
  target_compile_options(${A_NAME} PRIVATE -fsanitize=fuzzer)
  target_link_options(${A_NAME} PRIVATE -fsanitize=fuzzer)
  # libFuzzer writes what it finds into the first folder; the corpus stays as it is committed.
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/corpus/${A_NAME})
  add_test(NAME ${A_NAME} COMMAND ${A_NAME} -max_total_time=10 -rss_limit_mb=2048 -print_final_stats=1
                                  ${CMAKE_CURRENT_BINARY_DIR}/corpus/${A_NAME}
                                  ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${A_NAME})
  set_tests_properties(${A_NAME} PROPERTIES LABELS fuzz TIMEOUT 60)
endfunction()

# panal_script_test(NAME quickstart_test LABEL e2e COMMAND … TIMEOUT s): a script as a ctest entry.
# Exit code 77 means skipped.
function(panal_script_test)
  cmake_parse_arguments(A "" "NAME;LABEL;TIMEOUT" "COMMAND" ${ARGN})
  add_test(NAME ${A_NAME} COMMAND ${A_COMMAND} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${A_NAME} PROPERTIES LABELS ${A_LABEL} TIMEOUT ${A_TIMEOUT}
                       SKIP_RETURN_CODE 77 ENVIRONMENT "PANAL_BUILD_DIR=${CMAKE_BINARY_DIR}")
endfunction()
