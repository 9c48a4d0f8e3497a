// The ids of each line of standard input, which is a JSON string, by `tokenise SAVED tokenizer.json` or
// `tokenise SAVED vocab.json merges.txt`: saved and loaded again. Fails at a line that does not come back from its ids.
#include <cstdio>
#include <iostream>
#include "tricycle/train/gpt2_tokeniser.hpp"

int main(int argc, char** argv) {
  using tricycle::GPT2Tokeniser;
  (argc == 4 ? GPT2Tokeniser::load(argv[2], argv[3]) : GPT2Tokeniser::load(argv[2])).save(argv[1]);
  auto tokeniser = GPT2Tokeniser::load(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    auto text = tricycle::Json::parse(line).as<std::string>();
    auto ids = tokeniser.encode(text);
    for (int id : ids) std::printf("%d ", id);
    std::printf("\n");
    if (tokeniser.decode(ids) != text) return std::fprintf(stderr, "not decoded: %s\n", line.c_str()), 1;
  }
  return 0;
}
