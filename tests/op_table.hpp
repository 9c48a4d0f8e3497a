// The op table: a row for every way to call an op. One row has an op's values, gradients, precision and threads tested,
// by test_ops_*.cpp; ops_have_rows.py fails when an op has none.
//
// To add an op, add a row to its family in op_table/: its name (": how", if there are several), the shapes it is called with,
// the numbers it is given, the call, and what it ought to be as plain loops. All that returns floating numbers must have a
// gradient.
#pragma once
#include "op_table/row.hpp"

/// All rows. It is compiled once for each element type, by op_table/float.cpp and its like: the longest of all compilations.
template <class T> Rows<T> op_table();
