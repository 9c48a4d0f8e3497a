# The tests that are not C++ tests: scripts, headers, linking, users' projects, CUDA, and the other presets.
include(CheckCXXSourceCompiles)
find_program(PYTHON python3)
find_program(CLANG clang++)
find_program(NVCC nvcc HINTS ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES bin)
cmake_path(SET tests ${CMAKE_CURRENT_SOURCE_DIR})

# ---------------------------------------------------------------- scripts

if(PYTHON)
  register(ops_have_rows fast ${PYTHON} ${tests}/ops_have_rows.py)
  register(readme fast ${PYTHON} ${tests}/readme.py)
else()
  register_build(ops_have_rows OFF)
  register_build(readme OFF)
endif()
if(EXISTS ${tests}/command_line.sh AND TARGET train_gpt)
  register(command_line slow sh ${tests}/command_line.sh $<TARGET_FILE_DIR:train_gpt>)
endif()

# ---------------------------------------------------------------- headers and linking

set(build_target ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target)
register_build(every_header_alone ON ${build_target} all_verify_interface_header_sets)

add_executable(two_units two_units_a.cpp two_units_b.cpp)
target_link_libraries(two_units PRIVATE tricycle::tricycle)
register(two_units fast two_units)

# One unit is built for wider registers: the two must not link, since each would run the other's inline functions.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_library(wide_unit OBJECT EXCLUDE_FROM_ALL two_units_b.cpp)
  target_compile_options(wide_unit PRIVATE -mavx2)
  target_link_libraries(wide_unit PRIVATE tricycle::tricycle)
  add_executable(mixed_units EXCLUDE_FROM_ALL two_units_a.cpp)
  target_link_libraries(mixed_units PRIVATE tricycle::tricycle wide_unit)
  register_build(mixed_units_do_not_link ON ${build_target} mixed_units)
  set_tests_properties(mixed_units_do_not_link PROPERTIES PASS_REGULAR_EXPRESSION "undefined (reference|symbol)")
endif()

# ---------------------------------------------------------------- users' projects

set(installed ${PROJECT_BINARY_DIR}/installed)
register_build(install ON ${CMAKE_COMMAND} -D BUILT=${PROJECT_BINARY_DIR} -D PREFIX=${installed} -P ${tests}/install.cmake)
set_tests_properties(install PROPERTIES FIXTURES_SETUP installed)

# The project consumer/`way`, configured with ARGN from nothing, built and run.
function(register_consumer way needs)
  set(build ${PROJECT_BINARY_DIR}/consumer/${way})
  register_build(consumer_${way} "${needs}" ${CMAKE_CTEST_COMMAND} --build-and-test ${tests}/consumer/${way} ${build}
    --build-generator ${CMAKE_GENERATOR} --build-options -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} ${ARGN} --test-command ${build}/consumer)
endfunction()
register_consumer(add_subdirectory ON -DTRICYCLE=${PROJECT_SOURCE_DIR} -DFETCHCONTENT_BASE_DIR=${FETCHCONTENT_BASE_DIR})
register_consumer(find_package "${Eigen3_DIR}" -DCMAKE_PREFIX_PATH=${installed} -DEigen3_DIR=${Eigen3_DIR})
set_tests_properties(consumer_find_package PROPERTIES FIXTURES_REQUIRED installed)

# ---------------------------------------------------------------- CUDA: the whole library through nvcc

set(eigen $<TARGET_PROPERTY:Eigen3::Eigen,INTERFACE_INCLUDE_DIRECTORIES>)
register_build(cuda "${NVCC}" ${NVCC} -std=c++20 -Werror all-warnings -I ${PROJECT_SOURCE_DIR}/include -isystem ${eigen}
  -c ${tests}/nvcc_compiles.cu -o ${PROJECT_BINARY_DIR}/nvcc_compiles.o)

# ---------------------------------------------------------------- the same tests, built otherwise

# Does the compiler come with the runtime of a sanitizer?
function(check_sanitizer name has)
  set(CMAKE_REQUIRED_FLAGS -fsanitize=${name})
  check_cxx_source_compiles("int main() {}" ${has})
endfunction()
check_sanitizer(address,undefined HAS_ASAN)
check_sanitizer(thread HAS_TSAN)

function(register_preset name needs)
  register_build(${name} "${needs}" ${CMAKE_COMMAND} --workflow --preset ${name})
  set_tests_properties(${name} PROPERTIES COST 0.5)
endfunction()
register_preset(debug ON)
register_preset(native ON)
register_preset(tsan "${HAS_TSAN}")
register_preset(asan-ubsan "${HAS_ASAN}")
register_preset(clang "${CLANG}")
