# The processing library calls no clock, thread, socket, file, database or source of randomness.
# Usage: cmake -DNM=nm -DLIBRARY=libpanal_processing.a -P check_sans_io.cmake
execute_process(COMMAND ${NM} -uC ${LIBRARY} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "nm failed on ${LIBRARY}")
endif()
if(NOT symbols MATCHES "panal::")
  message(FATAL_ERROR "${LIBRARY} calls nothing of panal: is this the right library?")
endif()
set(forbidden
    "[^\n]*::now\\(\\)[^\n]*"
    "[^\n]*::Now\\(\\)[^\n]*"
    "[^\n]* clock_gettime[^\n]*"
    "[^\n]* gettimeofday[^\n]*"
    "[^\n]*random_device[^\n]*"
    "[^\n]* getrandom[^\n]*"
    "[^\n]*RandomSeedFromSystem[^\n]*"
    "[^\n]*grpc[^\n]*"
    "[^\n]*google::protobuf[^\n]*"
    "[^\n]*sqlite3_[^\n]*"
    "[^\n]* pthread_[^\n]*"
    "[^\n]*std::thread[^\n]*"
    "[^\n]* (socket|connect|bind|listen|accept|send|recv|sendto|recvfrom)\n"
    "[^\n]* (open|open64|openat|read|write|fopen|fopen64|unlink|rename)\n")
foreach(pattern ${forbidden})
  if(symbols MATCHES "(${pattern})")
    string(STRIP "${CMAKE_MATCH_1}" symbol)
    message(FATAL_ERROR "processing is sans-IO, emit an Output instead of calling: ${symbol}")
  endif()
endforeach()
