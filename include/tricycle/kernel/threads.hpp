// The threads that share a kernel's work: one small pool, kept for the life of the process.
#pragma once
#include <atomic>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>
#ifdef __linux__
#include <sched.h>
#endif
#include "tricycle/core/error.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// How many CPUs this process may run on.
inline int available_cpus() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  unsigned n = std::thread::hardware_concurrency();
  return n == 0 ? 1 : static_cast<int>(n);
}

TRICYCLE_PROCESS_WIDE inline std::atomic<int>& wanted_threads() {
  static std::atomic<int> n = available_cpus();
  return n;
}

}  // namespace detail

/// How many threads a kernel may use, the caller included. To begin with: the CPUs that this process may run on.
inline int threads() { return detail::wanted_threads().load(std::memory_order_relaxed); }

/// Let kernels use n threads from now on. Results do not depend on it, to the bit. Throws when n < 1.
inline void set_threads(int n) {
  check(n >= 1, "set_threads: ", n, " threads; there must be at least one");
  detail::wanted_threads().store(n, std::memory_order_relaxed);
}

namespace kernel {

/// Loops over fewer elements than this stay on the calling thread. Tests set it to 1 to have every loop cut.
TRICYCLE_PROCESS_WIDE inline Index& serial_below() {
  static Index elements = 1 << 14;
  return elements;
}

/// How many pieces of `grain` elements make up n; the last may be shorter. Work is always cut so, by shape alone and
/// never by the number of threads: that is what makes results the same to the bit whoever computes them.
TRICYCLE_HD constexpr Index split(Index n, Index grain) { return n / grain + (n % grain != 0); }

/// The pool. A caller publishes a job and starts on it at once; helpers join while it is open and take tasks until none
/// is left; then the caller closes it and waits only for those who are inside. So nobody ever waits for a thread that
/// sleeps, was never started, or did not survive a fork.
class Pool {
 public:
  /// The process's pool. Left to the operating system on purpose: helpers may still look at it while statics are destroyed.
  TRICYCLE_PROCESS_WIDE static Pool& instance() {
    static Pool& pool = *new Pool;
    return pool;
  }

  /// Run task(context, i) for i in [0, tasks) on up to `threads` threads; false, with nothing done, when the pool has a job.
  bool run(Index tasks, int threads, void (*task)(const void*, Index), const void* context) {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    auto wanted = static_cast<std::size_t>(tasks < threads ? tasks : Index{threads}) - 1;
    while (helpers_.size() < wanted && hire()) {}

    task_ = task, context_ = context, tasks_ = tasks, error_ = nullptr;
    failed_.store(false, std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    state_.store(open, std::memory_order_release);
    for (std::size_t i = 0; i < wanted && i < helpers_.size(); ++i) helpers_[i]->call();
    work();
    for (int state = state_.fetch_and(~open, std::memory_order_acq_rel) & ~open; state != 0;) state = await_change(state_, state);

    std::exception_ptr error = std::move(error_);
    busy_.store(false, std::memory_order_release);
    if (error) std::rethrow_exception(error);
    return true;
  }

 private:
  static constexpr int open = 1 << 30;      // state_ is this bit and the number of helpers inside the job
  static constexpr int spins = 1000;        // 10-40 us: longer than the gaps between the kernels of a training step

  struct alignas(64) Helper {
    std::atomic<int> calls = 0;
    void call() {
      calls.fetch_add(1, std::memory_order_seq_cst);
      calls.notify_one();
    }
  };

  static void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  /// The value of `watched` once it is no longer `old`: looked for awhile, then slept for.
  static int await_change(const std::atomic<int>& watched, int old) {
    for (int i = 0; i < spins; ++i, relax())
      if (int now = watched.load(std::memory_order_acquire); now != old) return now;
    watched.wait(old, std::memory_order_acquire);
    return watched.load(std::memory_order_acquire);
  }

  /// One helper more. A system that gives no more threads is no error: there are just fewer hands.
  bool hire() {
    try {
      helpers_.reserve(helpers_.size() + 1);
      auto helper = std::make_unique<Helper>();
      std::thread([this, h = helper.get()] { serve(*h); }).detach();
      helpers_.push_back(helper.release());
    } catch (const std::exception&) {
      return false;
    }
    return true;
  }

  void serve(Helper& self) {
    struct Stay { ~Stay() {} };             // a shared library stays loaded as long as a thread has such a thing of its
    [[maybe_unused]] thread_local Stay stay;
    for (int calls = 0;;) {
      calls = await_change(self.calls, calls);
      int state = state_.load(std::memory_order_relaxed);
      while ((state & open) && !state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire, std::memory_order_relaxed)) {}
      if (!(state & open)) continue;        // came too late: the job is done
      work();
      if (state_.fetch_sub(1, std::memory_order_acq_rel) == 1) state_.notify_one();
    }
  }

  void work() {
    for (Index i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) {
      try {
        task_(context_, i);
      } catch (...) {
        if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
        next_.store(tasks_, std::memory_order_relaxed);
      }
    }
  }

  std::atomic<bool> busy_ = false;
  std::vector<Helper*> helpers_;            // touched by whoever made the pool busy
  void (*task_)(const void*, Index) = nullptr;
  const void* context_ = nullptr;
  Index tasks_ = 0;
  std::exception_ptr error_;
  std::atomic<bool> failed_ = false;
  alignas(64) std::atomic<Index> next_ = 0;
  alignas(64) std::atomic<int> state_ = 0;
};

/// f(i) for every i in [0, tasks), in any order and on several threads; returns when all are done. Calls from inside a
/// task, or while another thread has the pool, run on the caller alone. The first exception of an f comes out here,
/// and tasks that had not begun by then are left out.
template <class F>
void parallel(Index tasks, const F& f) {
  int n = tasks < 2 ? 1 : threads();
  if (n > 1 && Pool::instance().run(tasks, n, [](const void* context, Index i) { (*static_cast<const F*>(context))(i); }, &f)) return;
  for (Index i = 0; i < tasks; ++i) f(i);
}

}  // namespace kernel
}
}  // namespace tricycle
