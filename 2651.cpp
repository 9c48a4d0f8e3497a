#include <unordered_set>
