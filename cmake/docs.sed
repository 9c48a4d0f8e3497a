# What Doxygen reads instead of a header: the inline namespace that names a unit's kind is gone, and what a file begins with is
# about the file.
s/^inline namespace TRICYCLE_ABI/extern "C++"/
1,/^#pragma once/ {
  s/\\/\\\\/g
  s/^\/\//&\//
}
1s/$/ @file/
