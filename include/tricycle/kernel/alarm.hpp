// How a kernel says that something is wrong, when the host is far ahead: it raises an alarm, which the host meets when it
// next reads numbers back, and which keeps optimisers from moving anything until then.
#pragma once
#include "tricycle/kernel/each.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// What raises the alarm of a GPU for an op. (On the CPU ops throw, and this does nothing.)
struct Alarm {
#ifdef TRICYCLE_CUDA
  gpu::Alarm* at = nullptr;
  char op[gpu::Alarm::name_size]{};
  Alarm(const char* name, Device device) {
    if (!device.is_cpu()) at = gpu::context(device).alarm;
    for (int i = 0; i + 1 < gpu::Alarm::name_size && name[i]; ++i) op[i] = name[i];
  }
  TRICYCLE_HD void bad_id(Index position, Index id, Index limit) const { raise(position, id, limit); }
  TRICYCLE_HD void not_finite() const { raise(0, 0, 0); }
  /// Is it off?
  TRICYCLE_HD bool is_quiet() const { return at == nullptr || at->raised == 0; }
  /// One more update was made, or kept from being made.
  TRICYCLE_HD void count_update() const { if (at) ++at->steps; }

 private:
  TRICYCLE_HD void raise(Index position, Index id, Index limit) const {
    if (!gpu::claim(&at->raised, 1)) return;             // it tells of the first, or of one of the first
    for (int i = 0; i < gpu::Alarm::name_size; ++i) at->op[i] = op[i];
    at->step = at->steps, at->position = position, at->id = id, at->limit = limit;
  }
#else
  Alarm(const char*, Device) {}
  void bad_id(Index, Index, Index) const {}
  void not_finite() const {}
  bool is_quiet() const { return true; }
  void count_update() const {}
#endif
};

struct CountUpdate {
  Alarm alarm;
  TRICYCLE_HD void operator()(Index) const { alarm.count_update(); }
};
/// A GPU's alarm tells after how many updates it was raised.
inline void count_update(Device device) {
  if (!device.is_cpu()) each(device, 1, CountUpdate{{"update", device}});
}

}  // namespace kernel
}
}  // namespace tricycle
