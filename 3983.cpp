#include <condition_variable>
