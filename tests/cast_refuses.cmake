# What mixes element types does not compile, and is told to cast, by the compiler CXX; nor do views of what would be gone.
# (LIBRARY and EIGEN: where their headers are; SCRATCH: a folder to write to.)

# Fails unless compiling `code` says all of `words` (ARGN); without any it is to compile.
function(expect code)
  set(source ${SCRATCH}/cast_refuses.cpp)
  file(WRITE ${source} "#include <Eigen/Core>\n#include \"tricycle/op/attention.hpp\"\n#include \"tricycle/op/choose.hpp\"\n#include \"tricycle/op/classify.hpp\"\n#include \"tricycle/op/dense.hpp\"\n#include \"tricycle/op/extremes.hpp\"\n#include \"tricycle/op/norm.hpp\"\n#include \"tricycle/tensor/create.hpp\"\n"
    "using namespace tricycle;\nvoid f(Tensor<float> x, Tensor<double> y, Tensor<int> i, Eigen::MatrixXf m) {\n  (void)x, (void)y, (void)i, (void)m;\n  ${code};\n}\n")
  execute_process(COMMAND ${CXX} -std=c++20 -fsyntax-only -I ${LIBRARY} -isystem ${EIGEN} ${source} RESULT_VARIABLE status ERROR_VARIABLE said)
  if(ARGN)
    if(status EQUAL 0)
      message(FATAL_ERROR "${code} compiles")
    endif()
  elseif(NOT status EQUAL 0)
    message(FATAL_ERROR "${code} does not compile:\n${said}")
  endif()
  foreach(words IN LISTS ARGN)
    if(NOT said MATCHES "${words}")
      message(FATAL_ERROR "${code} is refused without a word of \"${words}\":\n${said}")
    endif()
  endforeach()
endfunction()

expect("x + cast<float>(y), max(x, cast<float>(i)), i < i, x == x, max(x, 1), min(x, {}), x * 2, view_of(m.transpose())")
expect("x + y, x < i, view_of(m), view_of(Eigen::Matrix<float, 2, 2, Eigen::RowMajor>())"
  "cast an operand, as in x \\+ cast<float>\\(y\\)" "cast an operand, as in x < cast<float>\\(y\\)" "see the transpose" "would be gone")
expect("max(x, i), i * i" "cast an operand, as in x \\+ cast<float>\\(y\\)" "must_cast.*int")
foreach(mixed "x += y" "x *= i" "dense(x, y)" "dense(x, x, &y)" "layer_norm(x, y, y)" "layer_norm(x, x, y)" "layer_norm(x, i)" "rms_norm(x, y, 1e-3)" "attention(x, y, x)" "attention(x, x, y, {.causal = false})"
    "mlp(x, y, nullptr, x, nullptr)" "mlp(x, x, &x, y, &x)" "add_layer_norm(x, y, x, x)" "add_layer_norm(x, x, y, 1e-3)" "add_rms_norm(x, x, y)" "classify(i, x, y, true)" "classify(i, x, y, false, &y, 0)")
  expect("${mixed}" "cast an operand, as in x \\+ cast<float>\\(y\\)")
endforeach()
foreach(mixed "where(x < x, x, y)" "concatenate(x, y)" "concatenate(i, x, 1)")
  expect("${mixed}" "cast an operand, as in concatenate\\(x, cast<float>\\(y\\)\\)")
endforeach()
expect("0 < x < 1" "write 0 < x && x < 1")
expect("close_to(x, y)" "cast an operand, as in x < cast<float>\\(y\\)")
expect("x += cast<float>(y), where(x < 1, x, 0), concatenate(i, i), dense(x, x, &x), layer_norm(x, x, 1e-3), rms_norm(x, x), attention(x, x, x), mlp(x, x, nullptr, x, nullptr), add_layer_norm(x, x, x, 1e-3), add_rms_norm(x, x, x), classify(i, x, x, true, &x, 0), close_to(i, i), i == 3, 3 < i")
