// Allocations in ranges of addresses that were reserved once, guarded by mprotect.
#include "memory.hpp"
#include <sys/mman.h>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include "report.hpp"

namespace emulator {

constinit Region space, program_data;

namespace {

constexpr std::size_t page = 4096, huge_page = 2 << 20, gap = 256;

struct Block {
  std::size_t bytes = 0, reserved = 0;
  std::uint64_t number = 0;                              // no other block of the process has it
  bool is_cut = false;                                   // an allocator hands out pieces of it
};
struct Area {
  Range range;
  std::uintptr_t next = 0, top = 0;                      // where to look for room, and the end of what was ever used
  std::size_t used = 0;
  std::map<std::uintptr_t, Block> live, dead;
};

struct Tables {
  Area areas[max_devices + 1];                           // the GPUs', and pinned memory
  std::map<std::uintptr_t, std::size_t> pieces;          // what an allocator handed out of a block
  std::size_t limit = std::size_t(4) << 30;
  int open = 0;
  std::uint64_t blocks = 0;
};
Tables& tables() {
  static Tables& tables = *new Tables;
  return tables;
}

void* reserve(std::size_t bytes, int protection) {
  void* p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) fail("there are no %zu bytes of addresses to reserve", bytes);
  madvise(p, bytes, MADV_HUGEPAGE);                      // fewer to protect, and to find
  return p;
}

Region region_at(std::uintptr_t low, std::size_t size) {
  Region r;
  r.low = low, r.size = size;
  r.states = static_cast<std::uint8_t*>(reserve(size, PROT_READ | PROT_WRITE));
  r.marks = static_cast<std::uint64_t*>(reserve(size / 4 * sizeof(std::uint64_t), PROT_READ | PROT_WRITE));
  r.older_marks = static_cast<std::uint64_t*>(reserve(size / 4 * sizeof(std::uint64_t) * Region::older_each, PROT_READ | PROT_WRITE));
  return r;
}

Area* area_of(std::uintptr_t p) {
  for (auto& area : tables().areas)
    if (area.range.holds(p)) return &area;
  return nullptr;
}

/// Zeros, and whole pages go back to the system.
void clear(void* p, std::size_t bytes) {
  auto low = reinterpret_cast<std::uintptr_t>(p), first = (low + page - 1) / page * page, last = (low + bytes) / page * page;
  if (bytes < 16 * page) {
    std::memset(p, 0, bytes);
  } else {
    std::memset(p, 0, first - low);
    madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
    std::memset(reinterpret_cast<void*>(last), 0, low + bytes - last);
  }
}

void* allocate(Area& area, std::size_t bytes) {
  std::size_t reserved = (bytes + gap - 1) / gap * gap + gap;
  for (int round = 0; round < 2; ++round) {
    while (area.next + reserved <= area.range.low + area.range.size) {
      auto hit = area.live.lower_bound(area.next);
      if (hit == area.live.end() || hit->first >= area.next + reserved) {
        auto p = area.next;
        auto old = area.dead.lower_bound(p);
        if (old != area.dead.begin() && std::prev(old)->first + std::prev(old)->second.reserved > p) --old;
        while (old != area.dead.end() && old->first < p + reserved) old = area.dead.erase(old);
        area.live[p] = {bytes, reserved, ++tables().blocks, false};
        area.used += bytes;
        area.next = p + reserved;
        area.top = std::max(area.top, area.next);
        return reinterpret_cast<void*>(p);
      }
      area.next = hit->first + hit->second.reserved;
    }
    area.next = area.range.low;
  }
  return nullptr;
}

bool release(Area& area, std::uintptr_t p) {
  auto at = area.live.find(p);
  if (at == area.live.end()) return false;
  auto bytes = at->second.bytes, reserved = at->second.reserved;
  clear(space.state(p), reserved);
  if (reserved >= 16 * page) madvise(reinterpret_cast<void*>((p + page - 1) / page * page), reserved - page, MADV_DONTNEED);
  auto& pieces = tables().pieces;
  pieces.erase(pieces.lower_bound(p), pieces.lower_bound(p + reserved));
  area.dead[p] = at->second;
  area.used -= bytes;
  area.live.erase(at);
  return true;
}

void protect(int protection) {
  auto set = [&](std::uintptr_t low, std::uintptr_t high) {
    if (high > low) mprotect(reinterpret_cast<void*>(low), (high - low + huge_page - 1) / huge_page * huge_page, protection);
  };
  for (int d = 0; d < max_devices; ++d) set(tables().areas[d].range.low, tables().areas[d].top);
}

struct sigaction fault_handler_before {};

/// A fault: the host's, in device memory, or a kernel's that went astray.
void on_fault(int signal, siginfo_t* info, void*) {
  Aside aside;
  auto p = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (is_launching && here.stack.low - p <= 1 << 20) fail("has more on its stack than the %zu bytes that there are", here.stack.size);
  if (is_launching) fail("touches %p, which is no memory of any kind", info->si_addr);
  if (device_of(p) >= 0) fail("the host touches device memory: %s", describe(p).c_str());
  sigaction(signal, &fault_handler_before, nullptr);     // not ours: let it happen again, to whom it concerns
}

/// Again and again, as test frameworks have handlers of their own and take ours for one that was forgotten.
void handle_faults() {
  struct sigaction action {}, before {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(SIGSEGV, &action, &before);
  if (before.sa_sigaction != on_fault) fault_handler_before = before;
}

}  // namespace

void prepare() {
  static std::once_flag once;
  std::call_once(once, [] {
    std::size_t size = max_devices * device_bytes + pinned_bytes + shared_bytes + page;
    auto low = (reinterpret_cast<std::uintptr_t>(reserve(size + huge_page, PROT_NONE)) + huge_page - 1) / huge_page * huge_page;
    auto& t = tables();
    for (int d = 0; d < max_devices; ++d) t.areas[d].range = {low + static_cast<std::size_t>(d) * device_bytes, device_bytes};
    t.areas[max_devices].range = {low + max_devices * device_bytes, pinned_bytes};
    for (auto& area : t.areas) area.next = area.top = area.range.low;
    mprotect(reinterpret_cast<void*>(t.areas[max_devices].range.low), size - max_devices * device_bytes, PROT_READ | PROT_WRITE);
    if (const char* limit = std::getenv("TRICYCLE_EMULATOR_MEMORY")) t.limit = std::strtoull(limit, nullptr, 10);

    auto data = writable_segment();
    program_data = region_at(data.low & ~std::uintptr_t(15), (data.high - data.low + 31) / 16 * 16);
    space = region_at(low, size);
  });
  handle_faults();
}

Range device_range(int device) { return tables().areas[device].range; }
Range pinned_range() { return tables().areas[max_devices].range; }
Range shared_range() { return {pinned_range().low + pinned_bytes, shared_bytes}; }

int device_of(std::uintptr_t p) {
  auto offset = p - space.low;
  return space.size && offset < max_devices * device_bytes ? static_cast<int>(offset / device_bytes) : -1;
}

void* allocate_device(int device, std::size_t bytes) {
  prepare();
  auto& area = tables().areas[device];
  if (bytes > tables().limit || area.used > tables().limit - bytes) return nullptr;
  auto top = area.top;
  void* p = allocate(area, bytes);
  if (tables().open && area.top > top) protect(PROT_READ | PROT_WRITE);
  return p;
}

void* allocate_pinned(std::size_t bytes) {
  prepare();
  return allocate(tables().areas[max_devices], bytes);
}

bool release_device(void* p) {
  int device = device_of(reinterpret_cast<std::uintptr_t>(p));
  return device >= 0 && release(tables().areas[device], reinterpret_cast<std::uintptr_t>(p));
}

bool release_pinned(void* p) {
  auto at = reinterpret_cast<std::uintptr_t>(p);
  return space.size && pinned_range().holds(at) && release(tables().areas[max_devices], at);
}

std::size_t memory_used(int device) { return tables().areas[device].used; }
std::size_t memory_limit() { return prepare(), tables().limit; }
void set_memory(std::size_t bytes) { prepare(), tables().limit = bytes; }

bool is_live(std::uintptr_t p, std::size_t bytes) {
  static constinit Range last;                           // a live block that was asked for before; a kernel asks for few
  static constinit std::uint64_t last_asked = 0;
  if (last_asked == here.launch_began && is_launching && last.holds(p)) return bytes <= last.size - (p - last.low);
  Area* area = area_of(p);
  if (!area) return false;
  auto at = area->live.upper_bound(p);
  if (at == area->live.begin()) return false;
  --at;
  if (p - at->first >= at->second.bytes || bytes > at->second.bytes - (p - at->first)) return false;
  last = {at->first, at->second.bytes}, last_asked = here.launch_began;
  return true;
}

std::string describe(std::uintptr_t p) {
  char text[200];
  auto say = [&](const char* what, std::uintptr_t low, std::size_t bytes, const char* more) -> std::string {
    if (p - low < bytes) std::snprintf(text, sizeof text, "byte %zu of %s of %zu bytes%s", p - low, what, bytes, more);
    else std::snprintf(text, sizeof text, "%zu bytes past the end of %s of %zu bytes%s", p - low - bytes, what, bytes, more);
    return text;
  };
  if (!space.holds(p)) {
    std::snprintf(text, sizeof text, "%p", reinterpret_cast<void*>(p));
    return text;
  }
  if (shared_range().holds(p)) return say("the dynamic shared memory", here.shared.low, here.shared.size, "");
  Area* area = area_of(p);
  if (!area) return "no memory";
  const auto& pieces = tables().pieces;
  auto before = [p](const auto& map) { auto at = map.upper_bound(p); return at == map.begin() ? map.end() : std::prev(at); };
  auto live = before(area->live), dead = before(area->dead);
  const char* what = device_of(p) >= 0 ? "an allocation" : "pinned host memory";
  bool is_dead = dead != area->dead.end() && (live == area->live.end() || dead->first > live->first);
  if (is_dead) return say(what, dead->first, dead->second.bytes, " that was freed");
  if (live == area->live.end()) return "device memory that was never allocated";
  if (auto piece = before(pieces); piece != pieces.end() && piece->first >= live->first && p - live->first < live->second.bytes)
    return say("a piece", piece->first, piece->second, *space.state(p) == forgotten && p - piece->first < piece->second ? " that was freed" : "");
  return say(what, live->first, live->second.bytes, p - live->first < live->second.bytes && *space.state(p) == forgotten ? " that was freed" : "");
}

std::string describe_dead(std::uintptr_t p, std::size_t bytes) { return describe(is_live(p, 1) ? p + bytes - 1 : p); }

Open::Open() {
  if (tables().open++ == 0) protect(PROT_READ | PROT_WRITE);
}
Open::~Open() {
  if (--tables().open == 0) protect(PROT_NONE);
}
Closed::Closed() {
  if (tables().open) protect(PROT_NONE);
}
Closed::~Closed() {
  if (tables().open) protect(PROT_READ | PROT_WRITE);
}

std::uint64_t block_number(std::uintptr_t p) {
  Area* area = area_of(p);
  if (!area) return 0;
  auto at = area->live.upper_bound(p);
  return at != area->live.begin() && p - std::prev(at)->first < std::prev(at)->second.bytes ? std::prev(at)->second.number : 0;
}

void take_piece(std::uintptr_t p, std::size_t bytes) {
  auto& block = *std::prev(area_of(p)->live.upper_bound(p));
  if (!std::exchange(block.second.is_cut, true)) std::memset(space.state(block.first), forgotten, block.second.bytes);
  std::memset(space.state(p), untouched, bytes);
  auto& pieces = tables().pieces;                        // of those before, what overlaps is no more
  pieces.erase(pieces.lower_bound(p), pieces.lower_bound(p + bytes));
  pieces[p] = bytes;
}

void check_read(const void* p, std::size_t bytes, const char* who) {
  auto low = reinterpret_cast<std::uintptr_t>(p);
  if (bytes == 0) return;
  if (!space.holds(low) || !space.holds(low + bytes - 1)) fail("%s reads %p, which is no device memory", who, p);
  const auto* states = space.state(low);
  const auto* wrong = std::find_if(states, states + bytes, [](std::uint8_t s) { return s != written; });
  if (wrong == states + bytes) return;
  auto at = low + static_cast<std::uintptr_t>(wrong - states);
  bool unwritten = *wrong == untouched && is_live(at, 1);
  fail("%s reads %s, %s", who, describe(at).c_str(), unwritten ? "which nothing has written" : "which is not allocated");
}

void check_write(const void* p, std::size_t bytes, const char* who) {
  auto low = reinterpret_cast<std::uintptr_t>(p);
  if (bytes == 0) return;
  if (!space.holds(low) || !space.holds(low + bytes - 1)) fail("%s writes %p, which is no device memory", who, p);
  auto* states = space.state(low);
  auto* wrong = std::find(states, states + bytes, forgotten);
  auto at = low + static_cast<std::uintptr_t>(wrong - states);
  if (wrong != states + bytes) fail("%s writes %s", who, describe(at).c_str());
  if (!is_live(low, bytes)) {
    for (at = low; is_live(at, 1); ++at) {}
    fail("%s writes %s, which is not allocated", who, describe(at).c_str());
  }
  std::memset(states, written, bytes);
}

}  // namespace emulator
