#include <bitset>
