# An einsum that makes sense compiles; one that does not is refused by the compiler CXX, in the library's own words.
# (LIBRARY and EIGEN: where their headers are; SCRATCH: a folder to write to.)

# Fails unless compiling einsum<"`subscript`"> says `words`; "" is to compile.
function(expect subscript words)
  set(source ${SCRATCH}/einsum_refuses.cpp)
  file(WRITE ${source} "#include \"tricycle/op/einsum.hpp\"\nconst auto& product = tricycle::einsum<\"${subscript}\">;\n")
  execute_process(COMMAND ${CXX} -std=c++20 -fsyntax-only -I ${LIBRARY} -isystem ${EIGEN} ${source} RESULT_VARIABLE status ERROR_VARIABLE said)
  if(words STREQUAL "")
    if(NOT status EQUAL 0)
      message(FATAL_ERROR "einsum<\"${subscript}\"> does not compile:\n${said}")
    endif()
  elseif(status EQUAL 0)
    message(FATAL_ERROR "einsum<\"${subscript}\"> compiles")
  elseif(NOT said MATCHES "${words}")
    message(FATAL_ERROR "einsum<\"${subscript}\"> is refused without a word of \"${words}\":\n${said}")
  endif()
endfunction()

expect("ij,jk->ik" "")
expect("ij,jk->il" "of the result is in no operand")
expect("ii->i" "appears twice in one operand")
expect("i1->i" "is not a letter")
