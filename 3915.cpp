#include <span>
