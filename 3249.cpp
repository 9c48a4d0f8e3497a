#include <deque>
