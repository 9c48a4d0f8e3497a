# The language CUDA, for our own programs. It needs nvcc and no GPU. Where nobody has said for which GPUs (-D
# CMAKE_CUDA_ARCHITECTURES=90, or CUDAARCHS in the environment), for those since 2020 that this nvcc knows; newer ones
# translate the PTX of the last when a program starts.
set(asked "${CMAKE_CUDA_ARCHITECTURES}$ENV{CUDAARCHS}")
enable_language(CUDA)
if(NOT asked)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE known)
  set(architectures "")
  foreach(architecture 80 86 89 90)
    if("${known}" MATCHES "sm_${architecture}[\r\n]")
      list(APPEND architectures ${architecture}-real)
      set(newest ${architecture})
    endif()
  endforeach()
  if(architectures)
    set(CMAKE_CUDA_ARCHITECTURES ${architectures} ${newest}-virtual CACHE STRING "GPUs to build for" FORCE)
  endif()
endif()
message(STATUS "Building for GPUs of the architectures ${CMAKE_CUDA_ARCHITECTURES}")
