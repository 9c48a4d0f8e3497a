// Streams, events and graphs: work that is enqueued now and done when somebody waits for it, or at some other time.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>
#include "here.hpp"

namespace emulator {

/// A stream's work up to and including this one, counted from 1.
struct Point {
  CUstream_st* stream = nullptr;
  std::uint64_t number = 0;
};

/// Pinned memory that some work reads or writes.
struct Flight {
  Range range;
  bool is_written = false;
};

struct Work {
  std::function<void()> run;                             // may be empty
  std::vector<Flight> flights;
  std::vector<Point> after;                              // what must be done before, in other streams
};

/// Work in a graph: `after` are the numbers of others.
struct Node {
  Work work;
  std::vector<std::size_t> after;
};

struct Capture {
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  CUstream_st* origin;
  std::unique_ptr<CUgraph_st> graph;
  std::set<CUstream_st*> streams;                        // that take part
  bool invalidated = false;
};

using Clock = std::chrono::steady_clock;

/// One lock is around all that the emulator does, kernels included.
extern std::recursive_mutex mutex;

}  // namespace emulator

struct CUgraph_st {
  std::vector<emulator::Node> nodes;
};
struct CUgraphExec_st {
  std::shared_ptr<const std::vector<emulator::Node>> nodes;
};

struct CUstream_st {
  int device = 0;
  bool is_blocking = false, is_legacy = false, is_destroyed = false;
  std::uint64_t enqueued = 0, done = 0, known = 0;       // known: the host knows that these are done
  std::deque<emulator::Work> queue;
  std::deque<std::pair<std::uint64_t, emulator::Point>> awaited;             // who knows ours knows theirs
  std::deque<std::pair<std::uint64_t, emulator::Flight>> flights;            // that the host does not know to have landed
  std::shared_ptr<emulator::Capture> capture;
  std::vector<std::size_t> tips;                         // in a capture: the nodes that the next one comes after
};

struct CUevent_st {
  int device = 0;
  bool has_time = false;
  emulator::Point point;
  std::shared_ptr<emulator::Clock::time_point> time;     // when the work got there
  std::weak_ptr<emulator::Capture> capture;              // recorded in one: these nodes
  bool is_captured = false;
  std::vector<std::size_t> tips;
};

namespace emulator {

/// This thread's GPU and its last error.
int& current_device();
cudaError_t result(cudaError_t);
/// How many GPUs this process sees.
int device_count();
Counts& counted();

/// The stream that the handle names, or null if it names none; 0 is the current device's legacy stream.
CUstream_st* stream_of(cudaStream_t);
bool is_valid(cudaEvent_t);
CUstream_st* new_stream(int device, bool is_blocking);
CUevent_st* new_event(int device, bool has_time);
void destroy(cudaEvent_t);

/// Into the stream, or into the graph that captures it. Some of all that waits may be done meanwhile.
cudaError_t enqueue(CUstream_st&, Work);
/// Until that is done; the host then knows it.
void finish(Point);
void finish_device(int device);
void host_knows(Point);
/// Whether this thread is in a function that cudaLaunchHostFunc enqueued.
bool& in_host_function();
/// Now and then, some of the work that waits.
void drift();

/// What calls that are no stream's work return while a capture forbids them; success if none does.
cudaError_t allowed_now();
cudaStreamCaptureMode& capture_mode();
void invalidate(Capture&);
/// Those of a GPU, in whatever mode. Were there any?
bool invalidate_captures(int device);

}  // namespace emulator
