// The order in which pending work is done: any that the streams and events allow, drawn at random.
#include "streams.hpp"
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <unordered_map>
#include "memory.hpp"
#include "report.hpp"
#include "watch.hpp"

namespace emulator {

std::recursive_mutex mutex;

namespace {

std::atomic<std::size_t> flights_under_way = 0;          // so that the host's accesses need the lock only if there are any

struct Engine {
  std::vector<std::unique_ptr<CUstream_st>> streams;     // also those that were destroyed: their handles must not come again
  std::unordered_map<cudaEvent_t, std::unique_ptr<CUevent_st>> events;
  std::deque<std::unique_ptr<CUevent_st>> old_events;    // destroyed lately
  CUstream_st* legacy[max_devices] = {};
  Counts counts;
  Engine() {
    for (int d = 0; d < max_devices; ++d) {
      streams.push_back(std::make_unique<CUstream_st>());
      legacy[d] = streams.back().get();
      legacy[d]->device = d, legacy[d]->is_blocking = legacy[d]->is_legacy = true;
    }
  }
};
Engine& engine() {
  static Engine& engine = *new Engine;
  return engine;
}

bool is_done(const Point& p) { return p.stream == nullptr || p.stream->done >= p.number; }

/// The stream whose first work must be done for that stream to go on: itself, or one that it waits for.
CUstream_st* next_for(CUstream_st* stream) {
  for (;;) {
    const auto& after = stream->queue.front().after;
    auto blocker = std::find_if(after.begin(), after.end(), [](const Point& p) { return !is_done(p); });
    if (blocker == after.end()) return stream;
    stream = blocker->stream;
  }
}

/// One that can go on, drawn from all streams, or null.
CUstream_st* any_stream() {
  CUstream_st* drawn = nullptr;
  unsigned seen = 0;
  for (auto& s : engine().streams) {
    if (s->queue.empty()) continue;
    const auto& after = s->queue.front().after;
    if (std::all_of(after.begin(), after.end(), is_done) && dice.one_in(++seen)) drawn = s.get();
  }
  return drawn;
}

void do_first(CUstream_st& stream) {
  Work work = std::move(stream.queue.front());
  stream.queue.pop_front();
  if (work.run) work.run();
  ++stream.done;
}

}  // namespace

int& current_device() {
  static thread_local int device = 0;
  return device;
}

int device_count() {
  static const int count = [] {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    if (!visible) return max_devices;
    int n = *visible && *visible != '-' ? 1 : 0;
    for (const char* c = visible; *c; ++c) n += *c == ',';
    return std::min(n, max_devices);
  }();
  return count;
}

Counts& counted() { return engine().counts; }
Counts counts() {
  std::lock_guard lock(mutex);
  return engine().counts;
}
void set_seed(std::uint64_t seed) {
  std::lock_guard lock(mutex);
  dice = Random(seed);
}

CUstream_st* new_stream(int device, bool is_blocking) {
  auto& s = *engine().streams.emplace_back(std::make_unique<CUstream_st>());
  s.device = device, s.is_blocking = is_blocking;
  return &s;
}

CUevent_st* new_event(int device, bool has_time) {
  auto e = std::make_unique<CUevent_st>();
  e->device = device, e->has_time = has_time;
  auto* handle = e.get();
  engine().events[handle] = std::move(e);
  return handle;
}

void destroy(cudaEvent_t event) {
  auto& old = engine().old_events;
  auto at = engine().events.find(event);
  old.push_back(std::move(at->second));
  engine().events.erase(at);
  if (old.size() > 1000) old.pop_front();                // so that a handle is not soon one again
}

CUstream_st* stream_of(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy) return engine().legacy[current_device()];
  if (stream == cudaStreamPerThread) {
    static thread_local CUstream_st* own[max_devices] = {};
    auto*& s = own[current_device()];
    return s ? s : s = new_stream(current_device(), true);
  }
  for (auto& s : engine().streams)
    if (s.get() == stream) return s->is_destroyed ? nullptr : stream;
  return nullptr;
}

bool is_valid(cudaEvent_t event) { return engine().events.count(event) != 0; }

// ---------------------------------------------------------------- doing it

cudaError_t enqueue(CUstream_st& stream, Work work) {
  if (auto capture = stream.capture) {
    if (capture->invalidated) return cudaErrorStreamCaptureInvalidated;
    auto& nodes = capture->graph->nodes;
    nodes.push_back({std::move(work), stream.tips});
    stream.tips = {nodes.size() - 1};
    return cudaSuccess;
  }
  // the legacy stream waits for all others of its device that were not created non-blocking, and they for it
  for (auto& s : engine().streams) {
    if (!stream.is_blocking || !s->is_blocking || s.get() == &stream || s->device != stream.device || s->is_legacy == stream.is_legacy) continue;
    if (s->capture) {
      invalidate(*s->capture);
      return cudaErrorStreamCaptureImplicit;
    }
    if (s->done < s->enqueued) work.after.push_back({s.get(), s->enqueued});
  }
  auto number = ++stream.enqueued;
  for (const auto& p : work.after) stream.awaited.emplace_back(number, p);
  for (const auto& f : work.flights) stream.flights.emplace_back(number, f), ++flights_under_way;
  stream.queue.push_back(std::move(work));
  drift();
  return cudaSuccess;
}

void drift() {
  if (!dice.one_in(8)) return;
  std::optional<Open> open;
  for (auto n = dice.below(4) + 1; n > 0; --n) {
    auto* s = any_stream();
    if (!s) return;
    if (!open) open.emplace();
    do_first(*s);
  }
}

void finish(Point p) {
  if (!is_done(p)) {
    Open open;
    while (!is_done(p)) do_first(dice.one_in(4) ? *any_stream() : *next_for(p.stream));
  }
  host_knows(p);
}

bool invalidate_captures(int device) {
  bool any = false;
  for (auto& s : engine().streams)
    if (s->device == device && s->capture) any = true, invalidate(*s->capture);
  return any;
}

void finish_device(int device) {
  std::vector<Point> open;
  for (auto& s : engine().streams)
    if (s->device == device && s->known < s->enqueued) open.push_back({s.get(), s->enqueued});
  while (!open.empty()) {                                // one stream's all before another's, or not
    std::swap(open[dice.below(open.size())], open.back());
    finish(open.back());
    open.pop_back();
  }
}

void host_knows(Point p) {
  if (p.stream == nullptr || p.stream->known >= p.number) return;
  auto& s = *p.stream;
  s.known = p.number;
  while (!s.flights.empty() && s.flights.front().first <= p.number) s.flights.pop_front(), --flights_under_way;
  std::vector<Point> others;
  for (; !s.awaited.empty() && s.awaited.front().first <= p.number; s.awaited.pop_front()) others.push_back(s.awaited.front().second);
  for (auto other : others) host_knows(other);
}

void pinned_access(std::uintptr_t p, std::size_t bytes, bool write) {
  if (flights_under_way == 0) return;
  std::lock_guard lock(mutex);
  for (auto& s : engine().streams)
    for (const auto& [number, f] : s->flights) {
      if (in_host_function() && number <= s->done) continue;   // it has its turn: what came before it is done
      if (p + bytes <= f.range.low || p >= f.range.low + f.range.size || !(write || f.is_written)) continue;
      fail("the host %s %s, while a copy %s it may be under way: nobody has waited for its stream", write ? "writes" : "reads",
           describe(p).c_str(), f.is_written ? "to" : "from");
    }
}

// ---------------------------------------------------------------- captures

bool& in_host_function() {
  static thread_local bool in = false;
  return in;
}

cudaStreamCaptureMode& capture_mode() {
  static thread_local cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  return mode;
}

void invalidate(Capture& capture) { capture.invalidated = true; }

cudaError_t allowed_now() {
  auto mine = capture_mode();
  if (mine == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  for (auto& s : engine().streams) {
    if (!s->capture || s->capture->origin != s.get()) continue;
    auto& capture = *s->capture;
    bool own = capture.thread == std::this_thread::get_id();
    bool is_global = capture.mode == cudaStreamCaptureModeGlobal && mine == cudaStreamCaptureModeGlobal;
    if (!is_global && !(own && capture.mode != cudaStreamCaptureModeRelaxed)) continue;
    invalidate(capture);
    return cudaErrorStreamCaptureUnsupported;
  }
  return cudaSuccess;
}

}  // namespace emulator
