// Frames that are not running. Grows to the largest number of runs at the same time.
//
// Threading: all methods are thread-safe. Lifetime: leases end before the pool does.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace hidet {

// Frame: has arena_bytes() and is_retired(), which says that no run may get it again.
template <typename Frame>
class FramePool {
 public:
  explicit FramePool(std::function<std::unique_ptr<Frame>()> make) : make_(std::move(make)) {}

  // A frame for one run, given back at the end of the scope, after an exception too.
  class Lease {
   public:
    explicit Lease(FramePool& pool) : pool_(pool), frame_(pool.Acquire()) {}
    ~Lease() { pool_.Release(std::move(frame_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Frame* operator->() const { return frame_.get(); }
   private:
    FramePool& pool_;
    std::unique_ptr<Frame> frame_;
  };

  // Of the frames that are not running, retired ones too.
  size_t arena_bytes() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    size_t bytes = 0;
    for (const auto& frame : idle_) bytes += frame->arena_bytes();
    for (const auto& frame : retired_) bytes += frame->arena_bytes();
    return bytes;
  }

 private:
  std::unique_ptr<Frame> Acquire() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!idle_.empty()) {
        auto frame = std::move(idle_.back());
        idle_.pop_back();
        return frame;
      }
      ++made_;  // so that Release, which runs in a destructor, never allocates
      idle_.reserve(made_);
      retired_.reserve(made_);
    }
    return make_();
  }

  void Release(std::unique_ptr<Frame> frame) {
    const std::lock_guard<std::mutex> lock(mutex_);
    (frame->is_retired() ? retired_ : idle_).push_back(std::move(frame));
  }

  std::function<std::unique_ptr<Frame>()> make_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Frame>> idle_;  // last in, first out: its arena is warm in the caches
  std::vector<std::unique_ptr<Frame>> retired_;
  size_t made_ = 0;
};

}  // namespace hidet
