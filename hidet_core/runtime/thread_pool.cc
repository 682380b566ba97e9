#include "hidet_core/runtime/thread_pool.h"

#include "hidet_core/runtime/spin.h"

namespace hidet {
namespace {

constexpr int kSpins = 2000;  // some tens of microseconds

}  // namespace

ThreadPool::ThreadPool(size_t threads) {
  for (size_t i = 1; i < threads; ++i) workers_.emplace_back([this] { Work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    news_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(void (*function)(void*, size_t), size_t total, void* user) {
  const Job job{function, user, total};
  std::unique_lock<std::mutex> turn(callers_, std::try_to_lock);
  if (!turn.owns_lock() || workers_.empty() || total <= 1) {
    for (size_t i = 0; i < total; ++i) function(user, i);
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    job_ = job;
    open_ = true;
    next_.store(0);
    news_.fetch_add(1);
  }
  wake_.notify_all();
  RunShare(job);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = false;
  }
  SpinUntil([this] { return busy_.load() == 0; });
}

void ThreadPool::RunShare(const Job& job) {
  for (size_t i = next_.fetch_add(1); i < job.total; i = next_.fetch_add(1)) {
    job.function(job.user, i);
  }
}

void ThreadPool::Work() {
  uint64_t seen = 0;
  while (true) {
    seen = AwaitNews(seen);
    Job job;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stop_) return;
      if (!open_) continue;
      job = job_;
      busy_.fetch_add(1);
    }
    RunShare(job);
    busy_.fetch_sub(1);
  }
}

// Spins, then sleeps, until news_ differs from `seen`.
uint64_t ThreadPool::AwaitNews(uint64_t seen) {
  for (int spins = 0; spins < kSpins; ++spins) {
    const uint64_t now = news_.load();
    if (now != seen) return now;
    Pause();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  wake_.wait(lock, [&] { return news_.load() != seen; });
  return news_.load();
}

ThreadPool& ThreadPools::Get(size_t threads) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::unique_ptr<ThreadPool>& pool = pools_[threads];
  if (!pool) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

}  // namespace hidet
