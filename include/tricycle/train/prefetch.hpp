// Batches that are ready when they are asked for: a thread reads ahead.
#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include "tricycle/core/error.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Gives the batches that a dataset gives, which a thread reads while the last one is learnt from: worth it where reading
/// waits for a disk.
///
///     Prefetch data(CausalLMDataset(tokens, context).batch(12).shuffle(1337));
///     auto [inputs, targets] = data.next();
template <class Data>
class Prefetch {
 public:
  using Batch = typename Data::Batch;

  /// `ahead`: how many batches are ready, once there was time.
  explicit Prefetch(Data data, std::size_t ahead = 2) : data_(std::move(data)), ahead_(ahead), position_(data_.position()) {
    check(ahead > 0, "prefetch: ", ahead, " batches ahead");
    start();
  }
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;
  ~Prefetch() { stop(); }

  /// The next batch, as the dataset's next(). Throws what reading it has thrown.
  Batch next() {
    Batch blank = data_.empty_batch(data_.batch_size());  // made here: whoever frees memory should have allocated it
    std::unique_lock lock(mutex_);
    to_read_.push_back(std::move(blank));
    changed_.notify_all();
    changed_.wait(lock, [&] { return !ready_.empty() || problem_; });
    if (ready_.empty()) std::rethrow_exception(problem_);
    Batch batch = std::move(ready_.front());
    ready_.pop_front();
    position_ += data_.batch_size();
    return batch;
  }

  /// How many examples next() has given so far; what is read ahead does not count.
  Index position() const { return position_; }
  /// Throws, and goes on where it is, when the dataset has no such position.
  void seek(Index position) {
    stop();
    try {
      data_.seek(position);
      position_ = position;
    } catch (...) {
      data_.seek(position_);
      start();
      throw;
    }
    start();
  }

 private:
  void start() {
    ready_.clear(), to_read_.clear();
    is_stopped_ = false, problem_ = nullptr;
    try {
      while (to_read_.size() < ahead_) to_read_.push_back(data_.empty_batch(data_.batch_size()));
      start_thread();
    } catch (...) {
      problem_ = std::current_exception();               // for next(), which would wait without an end
      throw;
    }
  }
  void start_thread() {
    try {
      thread_ = std::thread([this] { read(); });
    } catch (const std::system_error& error) {
      fail("prefetch: no thread could be started: ", error.what());
    }
  }
  void stop() {
    {
      std::lock_guard lock(mutex_);
      is_stopped_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void read() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return !to_read_.empty() || is_stopped_; });
      if (is_stopped_) return;
      Batch batch = std::move(to_read_.front());
      to_read_.pop_front();
      lock.unlock();
      std::exception_ptr problem;
      try {
        data_.read(batch);
      } catch (...) {
        problem = std::current_exception();
      }
      lock.lock();
      if ((problem_ = problem)) return changed_.notify_all();
      ready_.push_back(std::move(batch));
      changed_.notify_all();
    }
  }

  Data data_;                                            // the thread's alone while it runs, but for its sizes
  std::size_t ahead_;
  Index position_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> to_read_, ready_;
  std::exception_ptr problem_;
  bool is_stopped_ = false;
  std::thread thread_;
};

}
}  // namespace tricycle
