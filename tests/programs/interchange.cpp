// Files through the library and back, for test_interchange.py to compare with what other packages make of them:
//   interchange npy FROM TO                    an array, whatever its type
//   interchange safetensors FROM TO            all tensors and the metadata
//   interchange gpt2 FROM TO                   a model's folder, as a GPT-2
//   interchange logits FOLDER IDS.npy TO       what a model says to int64 ids (batch, tokens)
#include "../../examples/command_line.hpp"
#include "../../examples/model_folder.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

template <class T>
bool copied_as(const NpyFile& file, const std::string& to) {
  if (file.kind() != npy::kind<T>()) return false;
  save_npy(to, file.tensor<T>());
  return true;
}

template <class... T>
void copy_npy(const std::string& from, const std::string& to) {
  NpyFile file(from);
  check((copied_as<T>(file, to) || ...), "interchange: ", from, " holds ", file.kind());
}

GPT<float> loaded(const examples::ModelFolder& folder) {
  GPT<float> model(folder.config());
  folder.load(model);
  model.eval();
  return model;
}

int interchange(const std::string& what, const std::string& from, const std::string& with, const std::string& to) {
  if (what == "npy") {
    copy_npy<half, float, double, std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, bool>(from, to);
  } else if (what == "safetensors") {
    SafeTensorsFile file(from);
    save_safetensors(to, file.all(), file.metadata());
  } else if (what == "gpt2") {
    save_gpt2(loaded(examples::ModelFolder(from)), to);
  } else {
    NoGrad guard;
    save_npy(to, loaded(examples::ModelFolder(from))(cast<int>(load_npy<std::int64_t>(with))));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_main(argc, argv, [&](examples::CommandLine&) {
    if (argc < 4) throw examples::UsageError("interchange npy|safetensors|gpt2|logits FROM [IDS] TO");
    return interchange(argv[1], argv[2], argv[3], argv[argc - 1]);
  });
}
