// Sentences on stderr, and the program's symbols, from which names of kernels and of shared variables come.
#include "report.hpp"
#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include "here.hpp"

namespace emulator {

namespace {

std::uint64_t first_seed() {
  const char* seed = std::getenv("TRICYCLE_EMULATOR_SEED");
  return seed ? std::strtoull(seed, nullptr, 10) : 1;
}

std::string demangled(const char* name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = status == 0 ? text : name;
  std::free(text);
  return result;
}

/// What the program's file and the loader say about it.
struct Program {
  std::map<std::uintptr_t, std::string> functions;       // mangled, by address
  std::vector<LocalStatic> statics;
  std::vector<Segment> constants;
  Segment writable{0, 0};

  Program() {
    std::uintptr_t base = 0;
    std::pair<Program*, std::uintptr_t*> both{this, &base};
    dl_iterate_phdr([](dl_phdr_info* info, std::size_t, void* data) {
      auto& [program, first_base] = *static_cast<std::pair<Program*, std::uintptr_t*>*>(data);
      bool first = info->dlpi_name == nullptr || info->dlpi_name[0] == '\0';
      if (first && *first_base == 0) *first_base = info->dlpi_addr;
      for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& part = info->dlpi_phdr[i];
        Segment s{info->dlpi_addr + part.p_vaddr, info->dlpi_addr + part.p_vaddr + part.p_memsz};
        if ((part.p_type == PT_LOAD && !(part.p_flags & PF_W)) || part.p_type == PT_GNU_RELRO) program->constants.push_back(s);
        if (first && part.p_type == PT_LOAD && (part.p_flags & PF_W) && program->writable.low == 0) program->writable = s;
      }
      return 0;
    }, &both);
    read_symbols(base);
    std::sort(statics.begin(), statics.end(), [](const auto& a, const auto& b) { return a.low < b.low; });
  }

  void read_symbols(std::uintptr_t base) {
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat about {};
    if (file < 0 || fstat(file, &about) != 0) return;
    void* map = mmap(nullptr, static_cast<std::size_t>(about.st_size), PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (map == MAP_FAILED) return;
    const char* bytes = static_cast<const char*>(map);
    const auto* header = reinterpret_cast<const Elf64_Ehdr*>(bytes);
    const auto* sections = reinterpret_cast<const Elf64_Shdr*>(bytes + header->e_shoff);
    for (int i = 0; i < header->e_shnum; ++i) {
      if (sections[i].sh_type != SHT_SYMTAB) continue;
      const auto* symbols = reinterpret_cast<const Elf64_Sym*>(bytes + sections[i].sh_offset);
      const char* names = bytes + sections[sections[i].sh_link].sh_offset;
      for (std::size_t j = 0; j < sections[i].sh_size / sizeof(Elf64_Sym); ++j) {
        const auto& s = symbols[j];
        const char* name = names + s.st_name;
        if (s.st_shndx == SHN_UNDEF) continue;
        if (ELF64_ST_TYPE(s.st_info) == STT_FUNC) functions.emplace(base + s.st_value, name);
        if (ELF64_ST_TYPE(s.st_info) == STT_OBJECT && s.st_size > 0 && std::strncmp(name, "_ZZ", 3) == 0)
          statics.push_back({base + s.st_value, base + s.st_value + s.st_size, name});
      }
    }
    munmap(map, static_cast<std::size_t>(about.st_size));
  }
};

Program& program() {
  static Program& program = *new Program;
  return program;
}

}  // namespace

Random dice(first_seed());

std::string name_of(const void* function) {
  auto& functions = program().functions;
  auto at = functions.find(reinterpret_cast<std::uintptr_t>(function));
  if (at != functions.end()) return demangled(at->second.c_str());
  char text[32];
  std::snprintf(text, sizeof text, "%p", function);
  return text;
}

std::string last_name(const std::string& mangled) {
  auto name = demangled(mangled.c_str());
  auto at = name.rfind("::");
  return at == name.npos ? name : name.substr(at + 2);
}

std::vector<LocalStatic>& local_statics() { return program().statics; }
const std::vector<Segment>& constant_segments() { return program().constants; }
const Segment& writable_segment() { return program().writable; }

void fail(const char* what, ...) {
  char text[1500], place[1500] = "";
  std::va_list list;
  va_start(list, what);
  std::vsnprintf(text, sizeof text, what, list);
  va_end(list);
  in_kernel = false;
  if (is_launching && here.kernel) {
    std::snprintf(place, sizeof place, "kernel %.1000s, block (%u, %u, %u), thread (%u, %u, %u): ", name_of(here.kernel).c_str(),
                  blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
  }
  std::fflush(stdout);
  std::fprintf(stderr, "emulator: %s%s\n", place, text);
  std::fflush(stderr);
  std::_Exit(86);
}

}  // namespace emulator
