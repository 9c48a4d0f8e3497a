# A user without CMake: pkg-config says what the compiler CXX is to be told, and the version, which the headers say as well.
# (PKG_CONFIG: the program; PREFIX: where Tricycle is installed; SCRATCH: a folder to write to.)
set(ENV{PKG_CONFIG_PATH} ${PREFIX}/share/pkgconfig)
set(program ${SCRATCH}/pkg_config)
file(WRITE ${program}.cpp [=[
#include <cstdio>
#include <tricycle/core/shape.hpp>
static_assert(TRICYCLE_VERSION == TRICYCLE_VERSION_MAJOR * 10000 + TRICYCLE_VERSION_MINOR * 100 + TRICYCLE_VERSION_PATCH);
int main() {
  std::printf("%d.%d.%d\n", TRICYCLE_VERSION_MAJOR, TRICYCLE_VERSION_MINOR, TRICYCLE_VERSION_PATCH);
  return tricycle::Shape{2, 3}.size() == 6 ? 0 : 1;
}
]=])

function(run result)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE said OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(${result} ${said} PARENT_SCOPE)
endfunction()
run(flags ${PKG_CONFIG} --cflags --libs tricycle)
run(version ${PKG_CONFIG} --modversion tricycle)
separate_arguments(flags)
run(nothing ${CXX} -std=c++20 ${program}.cpp -o ${program} ${flags})
run(compiled ${program})
if(NOT compiled STREQUAL version)
  message(FATAL_ERROR "pkg-config says that this is version ${version}, the headers say ${compiled}")
endif()
