// What the example programs share: command lines, exit statuses, the terminal, corpora.
#include <unistd.h>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>
#include "../examples/command_line.hpp"
#include "../examples/corpus.hpp"
#include "../examples/terminal.hpp"
#include "catch.hpp"
#include "tricycle/core/config.hpp"

using tricycle::Index;

namespace {

struct Settings {
  Index steps = 2000;
  int batch = 12;
  std::uint64_t seed = 1337;
  float lr = 1e-3f;
  double dropout = 0;
  std::optional<Index> stop_at;
  std::string data, precision = "float";
  bool quiet = false;
};

void tie(examples::CommandLine& line, Settings& s) {
  line.about("Trains a GPT on text.");
  line.option("--steps N", s.steps, "updates of the weights", {.least = 1});
  line.option("--batch N", s.batch, "windows a step");
  line.option("--seed N", s.seed, "where all randomness starts", {.most = 4294967295});
  line.option("--lr F", s.lr, "learning rate", {.above = 0});
  line.option("--dropout F", s.dropout, "share of activations left out", {.least = 0, .below = 1});
  line.option("--stop-at N", s.stop_at, "stop early, after this step");
  line.option("--data FILE|FOLDER", s.data, "text to learn from");
  line.choice("--precision float|bf16", s.precision, "what the layers compute in");
  line.flag("--quiet", s.quiet, "print results alone");
}

Settings parsed(std::vector<std::string> words) {
  words.insert(words.begin(), "/usr/bin/train_gpt");
  examples::CommandLine line(words);
  Settings settings;
  tie(line, settings);
  line.parse();
  return settings;
}

struct Ran {
  int status;
  std::string out, err;
};

// run_main as a shell sees it.
template <class Program>
Ran ran(std::vector<std::string> words, Program program) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  auto redirect = [](std::FILE* stream, std::FILE* to) {
    std::fflush(stream);
    int kept = dup(fileno(stream));
    dup2(fileno(to), fileno(stream));
    return kept;
  };
  auto restore = [](std::FILE* stream, int kept, std::FILE* from) {
    std::fflush(stream);
    dup2(kept, fileno(stream));
    close(kept);
    std::rewind(from);
    std::string text;
    for (int c; (c = std::fgetc(from)) != EOF;) text += static_cast<char>(c);
    std::fclose(from);
    return text;
  };
  std::FILE *out = std::tmpfile(), *err = std::tmpfile();
  int kept_out = redirect(stdout, out), kept_err = redirect(stderr, err);
  int status = examples::run_main(static_cast<int>(argv.size()), argv.data(), program);
  std::string said = restore(stdout, kept_out, out);
  return {status, said, restore(stderr, kept_err, err)};
}

}  // namespace

TEST_CASE("a command line sets what it names", "[command line]") {
  Settings none = parsed({});
  CHECK((none.steps == 2000 && none.lr == 1e-3f && none.data.empty() && !none.stop_at && !none.quiet));
  Settings s = parsed({"--steps", "20", "--batch=-3", "--seed=4294967295", "--lr", "2.5e-4", "--dropout=.1", "--stop-at", "10", "--data=--odd name=",
                       "--quiet", "--precision", "bf16", "--steps=30"});
  CHECK((s.steps == 30 && s.batch == -3 && s.seed == 4294967295 && s.lr == 2.5e-4f && s.dropout == 0.1 && s.stop_at == 10));
  CHECK((s.data == "--odd name=" && s.quiet && s.precision == "bf16"));
  CHECK(parsed({"--data="}).data.empty());
}

TEST_CASE("a command line that makes no sense is refused in one sentence", "[command line]") {
  auto sentence = [](std::vector<std::string> words) -> std::string {
    try {
      parsed(std::move(words));
    } catch (const examples::UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK(sentence({"--stpes", "20"}) == "unknown option --stpes, did you mean --steps?");
  CHECK(sentence({"--frobnicate=2"}) == "unknown option --frobnicate, --help lists them all");
  CHECK(sentence({"corpus.txt"}) == "unexpected 'corpus.txt': options begin with two dashes, and --help lists them");
  CHECK(sentence({"-q"}).starts_with("unexpected '-q'"));
  CHECK(sentence({"--"}).starts_with("unknown option --,"));
  CHECK(sentence({"--steps"}) == "--steps N lacks its value");
  CHECK(sentence({"--data", "--quiet"}) == "--data FILE|FOLDER lacks its value");
  CHECK(sentence({"--quiet=yes"}) == "--quiet takes no value");
  for (const char* bad : {"", "20x", " 20", "20 ", "+20", "2e3", "0x10", "1.5", "many", "-"})
    CHECK(sentence({std::string("--steps=") + bad}) == std::string("--steps needs a whole number, not '") + bad + "'");
  CHECK(sentence({"--steps", "9223372036854775808"}) == "--steps cannot hold 9223372036854775808");
  CHECK(sentence({"--batch", "2147483648"}) == "--batch cannot hold 2147483648");
  CHECK(sentence({"--steps", "0"}) == "--steps must be at least 1, not 0");
  CHECK(sentence({"--seed", "4294967296"}) == "--seed must be at most 4294967295, not 4294967296");
  CHECK(sentence({"--seed", "-1"}) == "--seed needs a whole number, not '-1'");
  for (const char* bad : {"", "nan", "inf", "-infinity", "NAN", "1e", "1,5", "0x1p3"})
    CHECK(sentence({std::string("--lr=") + bad}) == std::string("--lr needs a number, not '") + bad + "'");
  CHECK(sentence({"--lr", "1e39"}) == "--lr cannot hold 1e39");
  CHECK(sentence({"--lr", "0"}) == "--lr must be above 0, not 0");
  CHECK(sentence({"--dropout", "1"}) == "--dropout must be below 1, not 1");
  CHECK(sentence({"--dropout", "-0.1"}) == "--dropout must be at least 0, not -0.1");
  for (const char* bad : {"", "half", "float|bf16", "loat"})
    CHECK(sentence({std::string("--precision=") + bad}) == std::string("--precision is one of float|bf16, not '") + bad + "'");
}

TEST_CASE("choices may stand elsewhere than in the usage", "[command line]") {
  auto parsed_as = [](const char* word) {
    examples::CommandLine line({"train_gpt", std::string("--config=") + word});
    std::string config = "small";
    line.choice("--config NAME", config, "small|large", "small|large");
    line.parse();
    return config;
  };
  CHECK(parsed_as("large") == "large");
  CHECK_THROWS_WITH(parsed_as("NAME"), "--config is one of small|large, not 'NAME'");
}

TEST_CASE("one option may decide the defaults of the others", "[command line]") {
  examples::CommandLine line({"train_gpt", "--config", "--steps=3", "--config=small", "--resume", "run", "--config", "large", "--config"});
  CHECK(line.peek("--config") == "large");
  CHECK(line.peek("--steps") == "3");
  CHECK_FALSE(line.peek("--step"));
  CHECK_FALSE(line.peek("--out"));
}

TEST_CASE("run_main turns what happens into an exit status", "[command line]") {
  auto train = [](examples::CommandLine& line) {
    Settings settings;
    tie(line, settings);
    line.parse();
    if (settings.data == "memory") throw std::bad_alloc();
    if (settings.data == "none") tricycle::fail("corpus: ", settings.data, " cannot be read");
    std::printf("%d steps\n", static_cast<int>(settings.steps));
    return settings.data == "stop" ? 130 : 0;
  };
  Ran good = ran({"bin/train_gpt", "--steps=5"}, train);
  CHECK((good.status == 0 && good.out == "5 steps\n" && good.err.empty()));
  CHECK(ran({"train_gpt", "--data", "stop"}, train).status == 130);

  Ran bad = ran({"bin/train_gpt", "--steps"}, train);
  CHECK((bad.status == 2 && bad.out.empty() && bad.err == "train_gpt: --steps N lacks its value\n"));
  Ran error = ran({"bin/train_gpt", "--data", "none"}, train);
  CHECK((error.status == 1 && error.out.empty() && error.err == "train_gpt: corpus: none cannot be read\n"));
  Ran memory = ran({"train_gpt", "--data=memory"}, train);
  CHECK((memory.status == 1 && memory.err == "train_gpt: out of memory\n"));

  Ran help = ran({"bin/train_gpt", "--nonsense", "--help"}, train);
  CHECK((help.status == 0 && help.err.empty()));
  CHECK(help.out ==
        "usage: train_gpt [options]\n"
        "Trains a GPT on text.\n"
        "\n"
        "  --steps N               updates of the weights (default 2000)\n"
        "  --batch N               windows a step (default 12)\n"
        "  --seed N                where all randomness starts (default 1337)\n"
        "  --lr F                  learning rate (default 0.001)\n"
        "  --dropout F             share of activations left out (default 0)\n"
        "  --stop-at N             stop early, after this step\n"
        "  --data FILE|FOLDER      text to learn from\n"
        "  --precision float|bf16  what the layers compute in (default float)\n"
        "  --quiet                 print results alone\n"
        "  --help                  print this and stop\n");
}

TEST_CASE("the first Ctrl-C is a wish, the second an order", "[command line]") {
  examples::catch_interrupts();
  CHECK_FALSE(examples::interrupted());
  std::raise(SIGINT);
  CHECK(examples::interrupted());
  CHECK(std::signal(SIGINT, SIG_DFL) == SIG_DFL);
  CHECK(std::signal(SIGTERM, SIG_DFL) == SIG_DFL);
}

TEST_CASE("nobody watches a file", "[terminal]") {
  Ran run = ran({"train_gpt"}, [](examples::CommandLine&) {
    examples::Terminal terminal;
    terminal.redraw([](int) { return std::string("a bar"); });
    terminal.line("step 1");
    return terminal.interactive() ? 1 : 0;
  });
  CHECK((run.status == 0 && run.out == "step 1\n" && run.err.empty()));
}

TEST_CASE("a corpus is a file, or the text files below a folder", "[corpus]") {
  namespace fs = std::filesystem;
  std::string name = (fs::temp_directory_path() / "tricycle_corpus_XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  fs::path folder = name;
  auto write = [&](const fs::path& path, const std::string& bytes) {
    fs::create_directories((folder / path).parent_path());
    std::ofstream(folder / path, std::ios::binary) << bytes;
  };
  write("text/b.txt", "two ");
  write("text/a/z.txt", "one ");
  write("text/c/empty", "");
  write("text/c/long", std::string(200000, 'x'));
  write("text/.hidden", "hidden");
  write("text/.git/config", "hidden");
  write("text/picture", std::string("\0\1", 2));
  write("binary/picture", std::string("text\0", 5));
  fs::create_directories(folder / "nothing");
  fs::create_symlink("nowhere", folder / "text" / "dangling");

  using examples::read_corpus;
  CHECK(read_corpus(folder / "text") == "one two " + std::string(200000, 'x'));
  CHECK(read_corpus(folder / "text/c/long").size() == 200000);
  CHECK(read_corpus(folder / "text/.git") == "hidden");
  auto path = [&](const char* rest) { return (folder / rest).string(); };
  CHECK_THROWS_WITH(read_corpus(folder / "absent"), "corpus: " + path("absent") + ": No such file or directory");
  CHECK_THROWS_WITH(read_corpus(folder / "nothing"), "corpus: there is no text in the folder " + path("nothing"));
  CHECK_THROWS_WITH(read_corpus(folder / "binary"), "corpus: there is no text in the folder " + path("binary"));
  CHECK_THROWS_WITH(read_corpus(folder / "text/picture"), "corpus: " + path("text/picture") + " is not text: it holds a NUL byte");
  CHECK_THROWS_WITH(read_corpus(folder / "text/c/empty"), "corpus: " + path("text/c/empty") + " is empty");
  fs::remove_all(folder);
}
