// Row: numbers of any type in memory, read and written as floats in registers.
#pragma once
#include "tricycle/core/pack.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

template <class T> TRICYCLE_HD Pack load_pack(const T* from) { return widen<T>(load_bits(from)); }
template <class T> TRICYCLE_HD void store_pack(T* to, Pack x) { store_bits(to, narrow<T>(x)); }

template <class T>
TRICYCLE_HD compute<T> load(const T* at, Index i) { return static_cast<compute<T>>(at[i]); }
template <class T>
TRICYCLE_HD Pack load(const T* at, Lanes i) { return load_pack(at + i.at); }
template <class T>
TRICYCLE_HD Pack load(const T* at, Aligned i) {
#ifdef TRICYCLE_GPU_CODE
  Vector<Bits<T>> v;
  load_wide<sizeof v>(&v, at + i.at);
  return widen<T>(v);
#else
  return load_pack(at + i.at);
#endif
}
template <class T>
TRICYCLE_HD Pack load(const T* at, Tail i) { return widen<T>(load_bits(at + i.at, i.count)); }

template <class T>
TRICYCLE_HD void store(T* at, Index i, compute<T> x) { at[i] = static_cast<T>(x); }
template <class T>
TRICYCLE_HD void store(T* at, Lanes i, Pack x) { store_pack(at + i.at, x); }
template <class T>
TRICYCLE_HD void store(T* at, Aligned i, Pack x) {
#ifdef TRICYCLE_GPU_CODE
  Vector<Bits<T>> v = narrow<T>(x);
  store_wide<sizeof v>(at + i.at, &v);
#else
  store_pack(at + i.at, x);
#endif
}
template <class T>
TRICYCLE_HD void store(T* at, Tail i, Pack x) { store_bits(at + i.at, narrow<T>(x), i.count); }

template <class T, class I> struct NumberOf { using type = Pack; };
template <class T> struct NumberOf<T, Index> { using type = compute<T>; };

}  // namespace detail

/// What a formula is handed at an I: one compute<T> at an Index, a Pack of them at Lanes or a Tail.
template <class T, class I> using Number = typename detail::NumberOf<T, I>::type;

/// Numbers of type T, read and written as compute<T>: one at an Index, or, where that is float, many at Lanes or a Tail.
template <class T>
struct Row {
  T* at;

  template <class I>
  struct Cell {
    T* at;
    I i;
    TRICYCLE_HD void operator=(Number<T, I> x) const { detail::store(at, i, x); }
    TRICYCLE_HD void operator=(const Cell& from) const { *this = static_cast<Number<T, I>>(from); }
    TRICYCLE_HD operator Number<T, I>() const { return detail::load(at, i); }
  };
  TRICYCLE_HD Cell<Index> operator[](Index i) const { return {at, i}; }
  TRICYCLE_HD Cell<Lanes> operator[](Lanes i) const { return {at, i}; }
  TRICYCLE_HD Cell<Tail> operator[](Tail i) const { return {at, i}; }
  TRICYCLE_HD Cell<Aligned> operator[](Aligned i) const { return {at, i}; }
};

template <class T>
struct Row<const T> {
  const T* at;
  TRICYCLE_HD compute<T> operator[](Index i) const { return detail::load(at, i); }
  TRICYCLE_HD Pack operator[](Lanes i) const { return detail::load(at, i); }
  TRICYCLE_HD Pack operator[](Tail i) const { return detail::load(at, i); }
  TRICYCLE_HD Pack operator[](Aligned i) const { return detail::load(at, i); }
};

/// A Row to be written, where what is written is added to what is there if `add`: how gradients are gathered.
template <class T>
struct Gather {
  T* at;
  bool add;

  template <class I>
  struct Cell {
    Gather to;
    I i;
    TRICYCLE_HD void operator=(Number<T, I> x) const {
      if (to.add) x += detail::load(to.at, i);
      detail::store(to.at, i, x);
    }
  };
  TRICYCLE_HD Cell<Index> operator[](Index i) const { return {*this, i}; }
  TRICYCLE_HD Cell<Lanes> operator[](Lanes i) const { return {*this, i}; }
  TRICYCLE_HD Cell<Tail> operator[](Tail i) const { return {*this, i}; }
  TRICYCLE_HD Cell<Aligned> operator[](Aligned i) const { return {*this, i}; }
};

}
}  // namespace tricycle
