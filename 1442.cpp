#include <locale>
