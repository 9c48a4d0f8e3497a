// The main of every test program, where the Catch2 there is has none to link: 2 as it is fetched.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
