// A small persistent thread pool, for hosts that have none (the Python module; not the plugin).
//
// One ParallelFor at a time uses the workers; a second one at the same time runs on its caller
// alone. The caller always takes part and can finish the work by itself, so a worker that is late,
// or that did not survive a fork, never blocks it. Workers spin for a moment after a job, then
// sleep. Ownership: joins its threads on destruction. Threading: ParallelFor is thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace hidet {

class ThreadPool {
 public:
  // `threads` counts the caller: threads - 1 are started.
  explicit ThreadPool(size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Calls function(user, i) once for each i < total; function must not throw.
  void ParallelFor(void (*function)(void*, size_t), size_t total, void* user);

  size_t threads() const { return workers_.size() + 1; }

 private:
  struct Job {
    void (*function)(void*, size_t) = nullptr;
    void* user = nullptr;
    size_t total = 0;
  };

  void Work();
  void RunShare(const Job& job);
  uint64_t AwaitNews(uint64_t seen);

  std::mutex callers_;  // held by the ParallelFor that uses the workers
  std::mutex mutex_;    // guards job_, open_ and stop_
  std::condition_variable wake_;
  Job job_;
  bool open_ = false;  // whether workers may still join job_
  bool stop_ = false;
  std::atomic<uint64_t> news_{0};  // counts jobs, and the stop
  std::atomic<size_t> next_{0};    // index not taken yet
  std::atomic<size_t> busy_{0};    // workers that joined the job
  std::vector<std::thread> workers_;
};

// Pools by number of threads, made when first asked for. Thread-safe.
class ThreadPools {
 public:
  ThreadPool& Get(size_t threads);

 private:
  std::mutex mutex_;
  std::map<size_t, std::unique_ptr<ThreadPool>> pools_;
};

}  // namespace hidet
