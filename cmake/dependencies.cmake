# What the library needs, from the system where it has it, else fetched. GLOBAL, so that whoever adds us as a
# subdirectory sees the targets that ours links to. FETCHCONTENT_SOURCE_DIR_EIGEN=FOLDER names an Eigen that is at hand, and
# is taken before any other: then no network is needed.
include(FetchContent)

find_package(Threads REQUIRED GLOBAL)

# cuBLASLt, in a project that has the language CUDA. No other is bothered.
get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
if(CUDA IN_LIST languages)
  find_package(CUDAToolkit QUIET GLOBAL)
endif()

if(NOT TARGET Eigen3::Eigen AND NOT FETCHCONTENT_SOURCE_DIR_EIGEN)
  find_package(Eigen3 5 CONFIG QUIET GLOBAL)             # Eigen's own package says that it is no newer 3.4
  if(NOT Eigen3_FOUND)
    find_package(Eigen3 3.4 CONFIG QUIET GLOBAL)
  endif()
endif()
if(NOT TARGET Eigen3::Eigen)
  if(NOT FETCHCONTENT_SOURCE_DIR_EIGEN)
    message(STATUS "No Eigen 3.4 on this system: fetching it")
  endif()
  FetchContent_Declare(eigen
    URL https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz
    URL_HASH SHA256=8586084f71f9bde545ee7fa6d00288b264a2b7ac3607b974e54d13e7162c1c72
    DOWNLOAD_EXTRACT_TIMESTAMP OFF
    SOURCE_SUBDIR headers-only)   # no such folder: Eigen's own build (tests, documentation) stays out of ours
  FetchContent_MakeAvailable(eigen)
  add_library(Eigen3::Eigen INTERFACE IMPORTED GLOBAL)
  target_include_directories(Eigen3::Eigen INTERFACE ${eigen_SOURCE_DIR})
endif()
