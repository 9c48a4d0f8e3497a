// A user whose other headers define min and max as macros, in the manner of <windows.h>. The standard library and Eigen
// do not survive that in the middle of a unit, so they come first: what is tested is every line of ours.
#include <bits/stdc++.h>
#include <Eigen/Core>
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#include <tricycle/tricycle.hpp>
