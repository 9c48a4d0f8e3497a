// NumPy's files: what NumPy saved is read, what is saved is NumPy's to the byte, and all else is refused.
#include <filesystem>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/io/npy.hpp"
#include "tricycle/op/layout.hpp"
#include "tricycle/tensor/print.hpp"

using namespace tricycle;

namespace {

std::string golden(const std::string& name) { return TRICYCLE_GOLDEN "/npy/" + name + ".npy"; }

/// What golden/npy.py put there: i - 3 in place i, counted row after row.
template <class T>
void check_numbers(const Tensor<T>& x, const Shape& shape) {
  REQUIRE(x.shape() == shape);
  for (Index i = 0; i < x.size(); ++i) REQUIRE(x.data()[i] == (std::same_as<T, bool> ? T(i > 3) : T(static_cast<float>(i) - 3)));
}

/// The file of version 1.0 with this header, padded with nothing but its new line, and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data) {
  std::string bytes = std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size() + 1) + '\0';
  return bytes + header + '\n' + std::string(data, '\1');
}

std::string refusal_of(const std::string& bytes) {
  return refusal([&] { NpyFile(bytes, "x"); });
}

/// What is said of a header in which something stands instead of the shape, or of the type.
std::string refusal_of_shape(const std::string& shape, std::size_t data = 0) { return refusal_of(file_of("{'descr':'<f4','fortran_order':False,'shape':" + shape + "}", data)); }
std::string refusal_of_type(const std::string& descr) { return refusal_of(file_of("{'descr':" + descr + ",'fortran_order':False,'shape':()}", 4)); }

}  // namespace

TEMPLATE_TEST_CASE("npy: every element type is read as NumPy wrote it, and written so", "[npy]", half, float, double, std::int8_t, std::int16_t, std::int32_t,
                   std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, bool) {
  if constexpr (std::is_unsigned_v<TestType> && !std::same_as<TestType, bool>) {
    auto x = load_npy<TestType>(golden(npy::kind<TestType>()));
    REQUIRE(x.shape() == Shape{2, 3});
    for (int i = 0; i < 6; ++i) REQUIRE(x.data()[i] == static_cast<TestType>(i - 3));
  } else {
    check_numbers(load_npy<TestType>(golden(npy::kind<TestType>())), {2, 3});
  }
  ScratchFolder folder;
  save_npy(folder / "x.npy", load_npy<TestType>(golden(npy::kind<TestType>())));
  REQUIRE(read_file(folder / "x.npy") == read_file(golden(npy::kind<TestType>())));
  REQUIRE(folder.n_files() == 1);
}

TEST_CASE("npy: shapes of all kinds come back, to the byte", "[npy]") {
  ScratchFolder folder;
  const std::pair<const char*, Shape> shapes[] = {{"scalar", {}}, {"empty", {0}}, {"no_columns", {3, 0, 2}}, {"one", {1}}, {"eight_axes", {1, 2, 1, 2, 1, 2, 1, 1}}};
  for (const auto& [name, shape] : shapes) {
    auto x = load_npy(golden(name));
    check_numbers(x, shape);
    save_npy(folder / "x.npy", x);
    REQUIRE(read_file(folder / "x.npy") == read_file(golden(name)));
  }
  auto large = arange<double>(0, 12345678);               // the shape's digits take from the padding
  save_npy(folder / "x.npy", large.reshape({2, 6172839}));
  REQUIRE(load_npy<double>(folder / "x.npy").to_vector() == large.to_vector());
}

TEST_CASE("npy: other versions, bytes the other way round and columns first", "[npy]") {
  for (const char* version : {"version_2", "version_3"}) check_numbers(load_npy(golden(version)), {2, 3});
  check_numbers(load_npy<double>(golden("big_endian_f8")), {5});
  check_numbers(load_npy<std::int16_t>(golden("big_endian_i2")), {5});
  check_numbers(load_npy(golden("columns")), {2, 3, 4});
  check_numbers(load_npy<int>(golden("columns_big_endian")), {4, 5});
  REQUIRE(NpyFile(golden("columns_big_endian")).kind() == "i4");
  REQUIRE(refusal_of(file_of("{'descr':'>f4','fortran_order':True,'shape':(0,3),}", 0)).empty());
  auto spaced = file_of("{ \"shape\" : ( 2L , 3 ) ,\n 'fortran_order' : True , 'descr' : '|b1' }   ", 6);
  REQUIRE(NpyFile(spaced, "x").tensor<bool>().to_vector() == std::vector<bool>(6, true));
}

TEST_CASE("npy: floating numbers are a leaf, unless told otherwise", "[npy]") {
  REQUIRE(load_npy(golden("f4")).requires_grad());
  REQUIRE_FALSE(load_npy(golden("f4"), {.requires_grad = false}).requires_grad());
  REQUIRE_FALSE(load_npy<int>(golden("i4")).requires_grad());
  REQUIRE(refusal([&] { load_npy(golden("f8")); }) == "npy: " + golden("f8") + " holds f8, not f4: read it as what it is, and cast()");
  REQUIRE(refusal([&] { load_npy(golden("none")); }) == "file: cannot read " + golden("none") + ": No such file or directory");
}

TEST_CASE("npy: cut anywhere, or longer, it is refused", "[npy]") {
  for (const char* name : {"f4", "version_3", "no_columns", "b1"}) {
    const std::string whole = read_file(golden(name));
    REQUIRE(refusal_of(whole).empty());
    for (std::size_t n = 0; n < whole.size(); ++n) REQUIRE_FALSE(refusal_of(whole.substr(0, n)).empty());
    REQUIRE_FALSE(refusal_of(whole + '\1').empty());
  }
}

TEST_CASE("npy: a flipped bit of the header is refused, or changes the type or the order alone", "[npy]") {
  const std::string whole = read_file(golden("f4"));
  for (std::size_t bit = 0; bit < 8 * (whole.size() - 24); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    if (!refusal_of(flipped).empty()) continue;
    NpyFile file(flipped, "x");
    REQUIRE((file.shape() == Shape{2, 3} && file.kind().back() == '4'));
  }
}

TEST_CASE("npy: what is wrong is named with its byte", "[npy]") {
  REQUIRE(refusal_of("") == "npy: x: it does not begin with \\x93NUMPY at byte 0");
  REQUIRE(refusal_of("\x93NUMPX....") == "npy: x: it does not begin with \\x93NUMPY at byte 0");
  REQUIRE(refusal_of("\x93NUMPY\1") == "npy: x: it has 7 bytes, too few for the header's length");
  REQUIRE(refusal_of(std::string("\x93NUMPY\2\0\1\0\0", 11)) == "npy: x: it has 11 bytes, too few for the header's length");
  REQUIRE(refusal_of(std::string("\x93NUMPY\4\0\1\0{}", 12)) == "npy: x: version 4.0 at byte 6 is not 1.0, 2.0 or 3.0");
  REQUIRE(refusal_of(std::string("\x93NUMPY\1\1\1\0{}", 12)) == "npy: x: version 1.1 at byte 6 is not 1.0, 2.0 or 3.0");
  REQUIRE(refusal_of("\x93NUMPY" + std::string("\1\0\377\377{}", 6)) == "npy: x: header length 65535 at byte 8 exceeds the file's 12 bytes");
  REQUIRE(refusal_of("\x93NUMPY" + std::string("\3\0\377\377\377\377{}", 8)) == "npy: x: header length 4294967295 at byte 8 exceeds the file's 14 bytes");

  REQUIRE(refusal_of(file_of("['descr']", 0)) == "npy: x: no { where the header begins at byte 10");
  REQUIRE(refusal_of(file_of("{descr:1}", 0)) == "npy: x: no key at byte 11");
  REQUIRE(refusal_of(file_of("{'descr' 1}", 0)) == "npy: x: no : after a key at byte 19");
  REQUIRE(refusal_of(file_of("{'descr:1}", 0)) == "npy: x: a string without end, or with a \\, at byte 11");
  REQUIRE(refusal_of(file_of("{'order':1}", 0)) == "npy: x: an unknown key 'order', before its value at byte 19");
  REQUIRE(refusal_of(file_of("{'shape':(),'shape':()}", 0)) == "npy: x: a key that stands twice, before its value at byte 32");
  REQUIRE(refusal_of(file_of("{'shape':() 'descr'}", 0)) == "npy: x: no , or } after a value at byte 22");
  REQUIRE(refusal_of(file_of("{'shape':(),'descr':'<f4'}", 4)) == "npy: x: no key 'fortran_order' in the header that ends at byte 36");
  REQUIRE(refusal_of(file_of("{'fortran_order':0}", 0)) == "npy: x: 'fortran_order' is neither True nor False at byte 27");
  REQUIRE(refusal_of_shape("()} x", 4) == "npy: x: something other than spaces and a new line after the header at byte 59");
  REQUIRE(refusal_of(file_of("", 4)) == "npy: x: no { where the header begins at byte 11");

  REQUIRE(refusal_of_shape("(2,)", 8).empty());
  REQUIRE(refusal_of_shape("(2)", 8) == "npy: x: 'shape' is no tuple, which has a comma, but ends at byte 58");
  REQUIRE(refusal_of_shape("[2,]", 8) == "npy: x: 'shape' is no tuple at byte 55");
  REQUIRE(refusal_of_shape("(-2,)", 8) == "npy: x: 'shape' holds what is no extent at byte 56");
  REQUIRE(refusal_of_shape("(,)", 8) == "npy: x: 'shape' holds what is no extent at byte 56");
  REQUIRE(refusal_of_shape("(2 3)", 24) == "npy: x: no , or ) after an extent at byte 58");
  REQUIRE(refusal_of_shape("(2,", 8) == "npy: x: 'shape' holds what is no extent at byte 58");
  REQUIRE(refusal_of_shape("(9223372036854775808,)", 8) == "npy: x: an extent that 64 bits cannot hold at byte 56");
  REQUIRE(refusal_of_shape("(1,1,1,1,1,1,1,1,1)", 4) == "npy: x: 'shape' has more than 8 axes at byte 72");
  REQUIRE(refusal_of_shape("(4294967296,4294967296,0)", 0).find("more elements than 64 bits can count") != std::string::npos);
  REQUIRE(refusal_of_shape("(4611686018427387904,)", 8) == "npy: x: (4611686018427387904,) of f4 has more than the 8 bytes from byte 79 on");
  REQUIRE(refusal_of_shape("(2,)", 9) == "npy: x: (2,) of f4 has 8 bytes, not the 9 from byte 61 on");

  const std::string none = "which is none of f2, f4, f8, i1 to i8, u1 to u8 and b1";
  for (const char* type : {"<f3", "<f16", "<c8", "|O", "<U5", "|f4", "=f4", "f4", "<", "", "<f4 ", "<f4 f8", "<b2", "<M8[ns]"})
    REQUIRE(refusal_of_type("'" + std::string(type) + "'") == "npy: x: 'descr' is '" + std::string(type) + "', " + none);
  REQUIRE(refusal_of_type("[('x','<f4')]") == "npy: x: 'descr' is no string, so this is no array of plain numbers, at byte 19");
  REQUIRE(refusal_of(file_of("{'descr':'|b1','fortran_order':False,'shape':(3,)}", 2) + '\2') == "npy: x: the byte 63 is neither 0 nor 1, as a bool is");
}

TEST_CASE("npy: what cannot be written leaves the old file", "[npy]") {
  ScratchFolder folder;
  REQUIRE(refusal([&] { save_npy(folder / "gone/x.npy", ones({2})); }) == "file: cannot write " + folder / "gone/x.npy" + ": No such file or directory");
  REQUIRE(folder.n_files() == 0);
}
