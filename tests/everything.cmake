# The tests that are not C++ tests: scripts, headers, linking, users' projects, and the other presets.
include(CheckCXXSourceRuns)
find_program(PYTHON python3)
find_program(CLANG clang++)
find_program(NVCC nvcc HINTS ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES bin)
set(tests ${CMAKE_CURRENT_SOURCE_DIR})

# A test that calls a compiler comes behind the others. One that keeps all cores busy has the machine to itself.
function(register_build needs name)
  register_if("${needs}" ${name} slow ${ARGN})
  set_tests_properties(${name} PROPERTIES COST 1)
endfunction()
function(register_large_build needs name)
  register_build("${needs}" ${name} ${ARGN})
  set_tests_properties(${name} PROPERTIES COST 0.5 RUN_SERIAL ON TIMEOUT 3600)
endfunction()

# ---------------------------------------------------------------- scripts

register_if("${PYTHON}" ops_have_rows fast ${PYTHON} ${tests}/ops_have_rows.py)
register_if("${PYTHON}" readme fast ${PYTHON} ${tests}/readme.py)
if(TARGET train_gpt)
  function(register_programs what label)
    register_if("${PYTHON}" programs_${what} ${label} ${PYTHON} -B ${tests}/programs/test_${what}.py $<TARGET_FILE_DIR:train_gpt>)
  endfunction()
  register_programs(output fast)
  register_programs(generate fast)
  register_programs(errors fast)
  register_programs(resume slow)

  # A test that needs packages of PyPI, all of which Python must have: else it is named as skipped.
  function(register_programs_with packages what label)
    set(missing 1)
    if(PYTHON)
      execute_process(COMMAND ${PYTHON} -c "from importlib.util import find_spec; exit(None in map(find_spec, '${packages}'.split()))" RESULT_VARIABLE missing)
    endif()
    if(missing EQUAL 0)
      register_programs(${what} ${label})
    else()
      register_if("" programs_${what} ${label})
    endif()
    set(missing ${missing} PARENT_SCOPE)
  endfunction()
  register_programs_with("tensorboard" tensorboard fast)
  register_programs_with("numpy safetensors torch transformers" interchange slow)
  if(missing EQUAL 0)
    add_executable(interchange programs/interchange.cpp)
    target_link_libraries(interchange PRIVATE tricycle::tricycle)
    set_target_properties(interchange PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
  endif()
endif()
if(TARGET train_gpt_emulated)
  register_if("${PYTHON}" programs_gpu fast ${PYTHON} -B ${tests}/programs/test_gpu.py $<TARGET_FILE_DIR:train_gpt_emulated>)
endif()

# ---------------------------------------------------------------- headers and linking

set(build_target ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target)
register_large_build(ON every_header_alone ${build_target} all_verify_interface_header_sets)

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
  register_build(ON mixed_units_do_not_link ${build_target} mixed_units)
  set_tests_properties(mixed_units_do_not_link PROPERTIES PASS_REGULAR_EXPRESSION "undefined (reference|symbol)" RESOURCE_LOCK build)
endif()

# ---------------------------------------------------------------- the API reference, without a warning

register_if("${DOXYGEN}" docs fast ${build_target} docs)
set_tests_properties(docs PROPERTIES RESOURCE_LOCK build)

# ---------------------------------------------------------------- users' projects

set(eigen $<TARGET_PROPERTY:Eigen3::Eigen,INTERFACE_INCLUDE_DIRECTORIES>)
set(installed ${PROJECT_BINARY_DIR}/installed)
register_build(ON install ${CMAKE_COMMAND} -D BUILT=${PROJECT_BINARY_DIR} -D PREFIX=${installed} -P ${tests}/install.cmake)
set_tests_properties(install PROPERTIES FIXTURES_SETUP installed)

# The test `name`: the project consumer/`way`, configured with ARGN for the compiler `cxx`, built and run.
function(register_project needs name way cxx)
  set(build ${PROJECT_BINARY_DIR}/consumer/${name})
  register_build("${needs}" ${name} ${CMAKE_CTEST_COMMAND} --build-and-test ${tests}/consumer/${way} ${build}
    --build-generator ${CMAKE_GENERATOR} --build-options -DCMAKE_CXX_COMPILER=${cxx} ${ARGN} --test-command ${build}/consumer)
endfunction()
function(register_consumer needs way)
  register_project("${needs}" consumer_${way} ${way} ${CMAKE_CXX_COMPILER} ${ARGN})
endfunction()
set(sources -DTRICYCLE=${PROJECT_SOURCE_DIR} -DFETCHCONTENT_BASE_DIR=${FETCHCONTENT_BASE_DIR})
set(package -DCMAKE_PREFIX_PATH=${installed} -DEigen3_DIR=${Eigen3_DIR})
register_consumer(ON add_subdirectory ${sources})
register_consumer("${Eigen3_DIR}" find_package ${package})
register_consumer(ON shared_libraries ${sources})
register_consumer("${PYTHON}" single_header -DTRICYCLE=${PROJECT_SOURCE_DIR} -DEIGEN=${eigen})

# And without CMake. That needs an Eigen which pkg-config knows.
find_program(PKG_CONFIG pkg-config)
if(PKG_CONFIG)
  execute_process(COMMAND ${PKG_CONFIG} --exists "eigen3 >= 3.4" RESULT_VARIABLE no_eigen)
  if(no_eigen EQUAL 0)
    set(pkg_config_and_eigen ${PKG_CONFIG})
  endif()
endif()
register_build("${pkg_config_and_eigen}" consumer_pkg_config ${CMAKE_COMMAND} -D CXX=${CMAKE_CXX_COMPILER} -D PKG_CONFIG=${PKG_CONFIG} -D PREFIX=${installed}
  -D SCRATCH=${PROJECT_BINARY_DIR} -P ${tests}/consumer/pkg_config.cmake)

# Other compilers, where they are installed; the one of this build and the preset clang's see all the tests.
file(REAL_PATH "${CMAKE_CXX_COMPILER}" this_compiler)
if(CLANG)
  file(REAL_PATH "${CLANG}" this_clang)
endif()
foreach(other g++-12 g++-13 g++-14 g++-15 g++-16 clang++-14 clang++-15 clang++-16 clang++-19 clang++-22 clang++-23)
  find_program(COMPILER_${other} ${other})
  set(found "${COMPILER_${other}}")
  if(found)
    file(REAL_PATH "${found}" real)
  endif()
  if(NOT (found AND (real STREQUAL this_compiler OR real STREQUAL "${this_clang}")))
    register_project("${found}" compiler_${other} add_subdirectory "${found}" ${sources})
  endif()
endforeach()

# The same two ways for a program that nvcc compiles: it uses a GPU if there is one.
set(nvcc -DCMAKE_CUDA_COMPILER=${NVCC} -DCMAKE_CUDA_ARCHITECTURES=90-real)
register_consumer("${NVCC}" add_subdirectory_cuda ${nvcc} ${sources})
if(Eigen3_DIR)
  set(nvcc_and_eigen ${NVCC})
endif()
register_consumer("${nvcc_and_eigen}" find_package_cuda ${nvcc} ${package})
set_tests_properties(consumer_find_package consumer_find_package_cuda consumer_pkg_config PROPERTIES FIXTURES_REQUIRED installed)

# ---------------------------------------------------------------- the other generation of Catch2

# Most systems have one. A folder that holds the sources of a Catch2 3 has the test `catch2_3` build some tests with it.
set(TRICYCLE_CATCH2_3 "" CACHE PATH "The sources of a Catch2 3, where the tests are built with a Catch2 2")
register_large_build("${TRICYCLE_CATCH2_3}" catch2_3 ${CMAKE_CTEST_COMMAND} --build-and-test ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/catch2_3
  --build-generator ${CMAKE_GENERATOR} --build-options -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DTRICYCLE_TESTS=ON -DTRICYCLE_EXAMPLES=OFF
  -DTRICYCLE_TEST_ONLY=random|tokeniser -DFETCHCONTENT_SOURCE_DIR_CATCH2=${TRICYCLE_CATCH2_3} -DFETCHCONTENT_BASE_DIR=${FETCHCONTENT_BASE_DIR}
  --test-command ${CMAKE_CTEST_COMMAND} -L fast --output-on-failure --no-tests=error)

# ---------------------------------------------------------------- CUDA

# What nvcc can build in a few minutes. The preset `cuda` is all of it, and takes several times as long.
register_large_build("${NVCC}" cuda ${CMAKE_COMMAND} --workflow --preset cuda-quick)

# ---------------------------------------------------------------- what must not compile: einsum strings, mixed element types

foreach(what einsum cast)
  register_build(ON ${what}_refuses ${CMAKE_COMMAND} -D CXX=${CMAKE_CXX_COMPILER} -D LIBRARY=${PROJECT_SOURCE_DIR}/include -D EIGEN=${eigen}
    -D SCRATCH=${PROJECT_BINARY_DIR} -P ${tests}/${what}_refuses.cmake)
endforeach()

# ---------------------------------------------------------------- the same tests, built otherwise

# Do the compilers come with the runtimes of their sanitizers, and do those work on this machine?
set(CMAKE_REQUIRED_FLAGS -fsanitize=thread)
check_cxx_source_runs("int main() {}" HAS_TSAN)
unset(CMAKE_REQUIRED_FLAGS)
if(CLANG)
  set(nothing ${PROJECT_BINARY_DIR}/nothing)
  file(WRITE ${nothing}.cpp "int main() {}")
  execute_process(COMMAND ${CLANG} -fsanitize=address,undefined ${nothing}.cpp -o ${nothing} RESULT_VARIABLE no_runtime OUTPUT_QUIET ERROR_QUIET)
  if(no_runtime EQUAL 0)
    set(CLANG_HAS_ASAN ${CLANG})
  endif()
endif()

register_large_build(ON debug ${CMAKE_COMMAND} --workflow --preset debug)
register_large_build(ON native ${CMAKE_COMMAND} --workflow --preset native)
register_large_build("${HAS_TSAN}" tsan ${CMAKE_COMMAND} --workflow --preset tsan)
register_large_build("${CLANG_HAS_ASAN}" clang-quick ${CMAKE_COMMAND} --workflow --preset clang-quick)
