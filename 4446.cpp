#include <tricycle/tricycle.hpp>
