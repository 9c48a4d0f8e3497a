// The op table: a row for every way to call an op. One row has an op's values, gradients, precision and threads tested,
// by test_ops_*.cpp; ops_have_rows.py fails when an op has none.
//
// To add an op, add a row to its family in op_table/: its name (": how", if there are several), the shapes it is called with,
// the numbers it is given, the call, and what it ought to be as plain loops. All that returns floating numbers must have a
// gradient.
#pragma once
#include "op_table/attention.hpp"
#include "op_table/binary.hpp"
#include "op_table/elementwise.hpp"
#include "op_table/layout.hpp"
#include "op_table/lookup.hpp"
#include "op_table/products.hpp"
#include "op_table/reduce.hpp"
#include "op_table/rowwise.hpp"

template <class T>
Rows<T> op_table() {
  Rows<T> all;
  for (const Rows<T>& family : {elementwise_rows<T>(), binary_rows<T>(), reduce_rows<T>(), layout_rows<T>(), rowwise_rows<T>(), attention_rows<T>(), dense_rows<T>(), lookup_rows<T>(), einsum_rows<T>()})
    all.insert(all.end(), family.begin(), family.end());
  return all;
}
