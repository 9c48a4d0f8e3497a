#include <iomanip>
