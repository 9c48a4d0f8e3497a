// cp.async: copies from global to shared memory that go on while their thread does other things.
#include <cstring>
#include "block.hpp"
#include "watch.hpp"

namespace emulator {

void cp_async(void* to, const void* from, int bytes, bool there) {
  const auto n = static_cast<std::size_t>(bytes);
  if (bytes != 4 && bytes != 8 && bytes != 16) fail("cp.async of %d bytes: it copies 4, 8 or 16", bytes);
  if (!here.shared.holds(reinterpret_cast<std::uintptr_t>(to))) fail("cp.async writes %s: it takes shared memory only", describe(reinterpret_cast<std::uintptr_t>(to)).c_str());
  if (there) watch_aligned(from, n, n, Access::read);
  watch_aligned(to, n, n, Access::write);
  std::memset(to, 0xff, n);
  block().current->copies.push_back({to, there ? from : nullptr, bytes});
}

void cp_async_wait_all() {
  auto& copies = block().current->copies;
  for (const Copy& c : copies) {
    const auto n = static_cast<std::size_t>(c.bytes);
    watch(c.to, n, Access::write);
    if (c.from) std::memcpy(c.to, c.from, n);
    else std::memset(c.to, 0, n);
  }
  copies.clear();
}

}  // namespace emulator
