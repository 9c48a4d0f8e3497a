#include <optional>
