# What `cmake --install` puts in place: the two programs, the C++ client library with its headers and its
# CMake package, and the protos for other languages.
include(CMakePackageConfigHelpers)

# The client library and what its archive refers to. The names are those of the build: panal::client.
set(PANAL_CLIENT_LIBRARIES client wire model proto base)
foreach(library ${PANAL_CLIENT_LIBRARIES})
  set_target_properties(panal_${library} PROPERTIES EXPORT_NAME ${library})
  install(TARGETS panal_${library} EXPORT panalTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
endforeach()

install(FILES ${CMAKE_SOURCE_DIR}/client/proxy/client.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/client/proxy COMPONENT development)
install(DIRECTORY ${CMAKE_BINARY_DIR}/proto/panal DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT development FILES_MATCHING PATTERN "*.pb.h")
install(DIRECTORY ${CMAKE_SOURCE_DIR}/proto/panal DESTINATION ${CMAKE_INSTALL_DATADIR}/panal/proto
        COMPONENT development FILES_MATCHING PATTERN "*.proto")

install(TARGETS panald panal RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
if(TARGET panal-sim) # It is built with the tests.
  install(TARGETS panal-sim RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
endif()

set(PANAL_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/panal)
install(EXPORT panalTargets NAMESPACE panal:: DESTINATION ${PANAL_PACKAGE_DIR} COMPONENT development)
configure_package_config_file(
  ${CMAKE_SOURCE_DIR}/cmake/panalConfig.cmake.in ${CMAKE_BINARY_DIR}/panalConfig.cmake
  INSTALL_DESTINATION ${PANAL_PACKAGE_DIR} PATH_VARS CMAKE_INSTALL_DATADIR)
# Before 1.0 a minor version may break its users.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/panalConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/panalConfig.cmake ${CMAKE_BINARY_DIR}/panalConfigVersion.cmake
        DESTINATION ${PANAL_PACKAGE_DIR} COMPONENT development)
