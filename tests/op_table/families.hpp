// All families of the op table.
#pragma once
#include "../op_table.hpp"
#include "attention.hpp"
#include "binary.hpp"
#include "elementwise.hpp"
#include "layout.hpp"
#include "lookup.hpp"
#include "products.hpp"
#include "reduce.hpp"
#include "rowwise.hpp"

template <class T>
Rows<T> op_table() {
  Rows<T> all;
  for (const Rows<T>& family : {elementwise_rows<T>(), binary_rows<T>(), reduce_rows<T>(), layout_rows<T>(), rowwise_rows<T>(), attention_rows<T>(), dense_rows<T>(), lookup_rows<T>(), einsum_rows<T>()})
    all.insert(all.end(), family.begin(), family.end());
  return all;
}
