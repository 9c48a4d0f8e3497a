// How a run is shown: event files, against the bytes that TensorBoard's own package writes (golden/events.py), and charts.
#include <cmath>
#include <dirent.h>
#include <limits>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/io/tensorboard.hpp"
#include "tricycle/train/line_chart.hpp"

namespace board = tricycle::tensorboard;
using tricycle::ChartAxis;
using tricycle::EventLog;
using tricycle::line_chart;
using tricycle::read_file;

TEST_CASE("CRC-32C gives the checksums of RFC 3720, appendix B.4", "[tensorboard]") {
  CHECK(board::crc32c("") == 0);
  CHECK(board::crc32c("123456789") == 0xe3069283);
  CHECK(board::crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(board::crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  std::string up, down;
  for (char c = 0; c < 32; ++c) up += c, down.insert(0, 1, c);
  CHECK((board::crc32c(up) == 0x46dd794e && board::crc32c(down) == 0x113fdb5c));
}

TEST_CASE("a varint has seven bits a byte, the lowest first", "[tensorboard]") {
  CHECK(board::varint(0) == std::string(1, '\0'));
  CHECK((board::varint(127) == "\x7f" && board::varint(128) == "\x80\x01" && board::varint(300) == "\xac\x02"));
  CHECK(board::varint(~std::uint64_t{0}) == "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

TEST_CASE("event files have the bytes of TensorBoard's own", "[tensorboard]") {
  const double time = 1700000000.25;
  std::string bytes = board::record(board::field(1, time) + board::field(3, "brain.Event:2"));
  auto add = [&](tricycle::Index step, const std::string& what) { bytes += board::record(board::event(time, step, what)); };
  add(300, board::field(7, board::field(1, tricycle::Index{1})));
  add(250, board::scalar("loss/training", 2.742));
  add(tricycle::Index{1} << 40, board::scalar("loss/training", -1e-30));
  add(7, board::scalar("é", std::numeric_limits<double>::quiet_NaN()));
  add(8, board::scalar("x", std::numeric_limits<double>::infinity()));
  add(3, board::text("sample", "ROMEO:\n"));
  std::string long_text;
  for (int i = 0; i < 100; ++i) long_text += "é";
  add(4, board::text("sample", long_text));
  CHECK(bytes == read_file(TRICYCLE_GOLDEN "/events.tfevents"));
}

TEST_CASE("a log is a file of its own, made with its first event", "[tensorboard]") {
  std::string folder = "/tmp/tricycle_events_XXXXXX";
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  auto files = [&] {
    std::vector<std::string> names;
    DIR* open = opendir((folder + "/run").c_str());
    for (dirent* entry; open && (entry = readdir(open));)
      if (entry->d_name[0] != '.') names.push_back(folder + "/run/" + entry->d_name);
    if (open) closedir(open);
    return names;
  };
  EventLog first(folder + "/run"), second(folder + "/run", 20);
  CHECK(files().empty());
  first.scalar("loss", 3, 10);
  REQUIRE(files().size() == 1);
  auto size = read_file(files()[0]).size();
  first.scalar("loss", 2, 20);
  CHECK(read_file(files()[0]).size() == 2 * size - (8 + 4 + 4 + 9 + 2 + 13));                // once: that it is an event file
  CHECK(refusal([&] { first.text("sample", "\xff", 20); }) == "tensorboard: a string is not UTF-8 at its byte 0");
  second.text("sample", "to be", 30);                                                        // most likely in the same second
  REQUIRE(files().size() == 2);
  for (auto& file : files()) {
    CHECK(file.find("tfevents") != file.npos);
    ::unlink(file.c_str());
  }
  ::rmdir((folder + "/run").c_str());
  ::rmdir(folder.c_str());
}

TEST_CASE("bytes that are no UTF-8 are replaced", "[utf8]") {
  CHECK(tricycle::utf8::repaired("") == "");
  CHECK(tricycle::utf8::repaired("caf\xc3\xa9") == "café");
  CHECK(tricycle::utf8::repaired("\xff" "a\xc3") == "\xef\xbf\xbd" "a\xef\xbf\xbd");
  CHECK(tricycle::utf8::repaired("\xe2\x82") == "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("the marks of an axis are round numbers that enclose what is shown", "[chart]") {
  auto marks = [](double low, double high, int n) {
    ChartAxis axis("x", low, high, n);
    std::string all;
    for (tricycle::Index i = 0; i < axis.marks(); ++i) all += (i ? " " : "") + axis.label(i);
    return all;
  };
  CHECK(marks(0, 2000, 8) == "0 500 1000 1500 2000");
  CHECK(marks(0, 5000, 8) == "0 1k 2k 3k 4k 5k");
  CHECK(marks(0, 3e6, 8) == "0 500k 1000k 1500k 2000k 2500k 3000k");
  CHECK(marks(1.7952, 2.742, 6) == "1.6 1.8 2.0 2.2 2.4 2.6 2.8");
  CHECK(marks(0.0712, 0.0713, 4) == "0.07120 0.07125 0.07130");
  CHECK(marks(-1.5, 1, 5) == "-1.5 -1.0 -0.5 0.0 0.5 1.0");
  CHECK(marks(0, 0, 2) == "0.0 0.5 1.0");
  CHECK(marks(2, 2, 2) == "2.0 2.2");
  ChartAxis axis("x", 1.7952, 2.742, 6);
  CHECK((axis.place(1.6) == Approx(0).margin(1e-12) && axis.place(2.8) == Approx(1) && axis.place(2.2) == Approx(0.5)));
  CHECK_THROWS_AS(ChartAxis("x", 0, std::numeric_limits<double>::infinity(), 3), tricycle::Error);
}

TEST_CASE("a chart has its points where the axes say, and names its curves", "[chart]") {
  std::string svg = line_chart("<a & b>", "step", "loss", {{"training", "#00f", {{0, 3}, {100, 2}}}, {"validation", "#f00", {{100, 2.001}}}, {"none", "#000", {}}});
  auto has = [&](const char* part) { return svg.find(part) != svg.npos; };
  CHECK((svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n") && has(">&lt;a &amp; b></text>")));
  CHECK(has("d=\"M70.0 50.0L700.0 420.0\" fill=\"none\" stroke=\"#00f\""));                 // from corner to corner
  CHECK((has(">2.0</text>") && has(">3.0</text>") && has(">100</text>") && has(">step</text>") && has(">loss</text>")));
  CHECK((has(">training 2.0000</text>") && has(">validation 2.0010</text>") && !has(">none")));
  CHECK((has("y=\"424.1\" font-weight") && has("y=\"442.1\" font-weight")));                   // no name over another
  CHECK(line_chart("", "", "", {}).ends_with("</svg>\n"));
  CHECK_THROWS_AS(line_chart("", "", "", {{"x", "#000", {{1, std::nan("")}}}}), tricycle::Error);
}
