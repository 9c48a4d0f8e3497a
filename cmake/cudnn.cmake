# tricycle::cudnn is tricycle::cuda with attention by cuDNN. There is such a target where cuDNN is found, 9.21 or newer: in
# CUDNN_ROOT (-D, or in the environment), which has include/ and lib/ in it, in the CUDA toolkit or on the system. Of the
# package nvidia-cudnn-cu13 on PyPI, CUDNN_ROOT is site-packages/nvidia/cudnn.
find_path(TRICYCLE_CUDNN_INCLUDE cudnn_version.h HINTS ${CUDNN_ROOT} ENV CUDNN_ROOT PATHS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
find_library(TRICYCLE_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${CUDNN_ROOT} ENV CUDNN_ROOT PATHS ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64)
mark_as_advanced(TRICYCLE_CUDNN_INCLUDE TRICYCLE_CUDNN_LIBRARY)
if(TRICYCLE_CUDNN_INCLUDE AND TRICYCLE_CUDNN_LIBRARY AND NOT TARGET tricycle::cudnn)
  file(STRINGS ${TRICYCLE_CUDNN_INCLUDE}/cudnn_version.h tricycle_cudnn REGEX "#define CUDNN_(MAJOR|MINOR|PATCHLEVEL) ")
  list(TRANSFORM tricycle_cudnn REPLACE "^.* " "")
  list(JOIN tricycle_cudnn "." tricycle_cudnn)
  if(tricycle_cudnn VERSION_GREATER_EQUAL 9.21)
    add_library(tricycle::cudnn INTERFACE IMPORTED GLOBAL)
    target_compile_definitions(tricycle::cudnn INTERFACE TRICYCLE_CUDNN)
    target_include_directories(tricycle::cudnn INTERFACE ${TRICYCLE_CUDNN_INCLUDE})
    set_target_properties(tricycle::cudnn PROPERTIES SYSTEM OFF)          # else nvcc takes a cudnn.h that is in the toolkit
    target_link_libraries(tricycle::cudnn INTERFACE tricycle::cuda ${TRICYCLE_CUDNN_LIBRARY})
  else()
    message(STATUS "No tricycle::cudnn: cuDNN ${tricycle_cudnn} in ${TRICYCLE_CUDNN_INCLUDE} is older than 9.21")
  endif()
  unset(tricycle_cudnn)
endif()
