# The language CUDA, for our own programs. It needs nvcc and no GPU. Where nobody has said for which GPUs (-D
# CMAKE_CUDA_ARCHITECTURES=90, or CUDAARCHS in the environment), they are built for those since 2020 that this nvcc knows,
# and newer GPUs translate the PTX of the last one when a program starts.
set(asked "${CMAKE_CUDA_ARCHITECTURES}$ENV{CUDAARCHS}")
enable_language(CUDA)

execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE known COMMAND_ERROR_IS_FATAL ANY)
set(usual_architectures "")
foreach(architecture 80 86 89 90)
  if(known MATCHES "sm_${architecture}[\r\n]")
    list(APPEND usual_architectures ${architecture}-real)
    set(newest ${architecture})
  endif()
endforeach()
list(APPEND usual_architectures ${newest}-virtual)

if(NOT asked)
  set(CMAKE_CUDA_ARCHITECTURES ${usual_architectures} CACHE STRING "GPUs to build for" FORCE)
endif()
message(STATUS "Building for GPUs of the architectures ${CMAKE_CUDA_ARCHITECTURES}")

# What is built to see that it compiles need not be fast: nvcc 13 then takes a fraction of the time.
option(TRICYCLE_QUICK_CUDA "Do not optimise what runs on GPUs" OFF)
set(quick_cuda "")
if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  set(quick_cuda --Ofast-compile=max)
endif()
if(TRICYCLE_QUICK_CUDA)
  add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:${quick_cuda}>)
endif()
