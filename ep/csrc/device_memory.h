// The GPU memory of one session (or, shared, of OrtValues made outside of sessions).
//
// ONNX Runtime frees memory while the work that uses it may still be queued, and without a stream.
// So it is remembered in which stream a block was allocated: it is given back in the order of that
// stream's work, and a block allocated without one in the order of all our streams. Opened at first
// use: to make an allocator must not touch the driver. Threading: thread-safe. Lifetime: shared by
// the session's allocators, streams and executables; a tensor may outlive its session.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>

#include "ep/csrc/ort_api.h"
#include "ep/csrc/ort_callbacks.h"
#include "hidet_core/runtime/cuda/memory_pool.h"

namespace hidet {

class DeviceMemory {
 public:
  DeviceMemory(int ordinal, size_t limit) : ordinal_(ordinal), limit_(limit) {}
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  int ordinal() const { return ordinal_; }

  // Throws Error(kFail) if there is no such device, or it cannot be used.
  std::shared_ptr<cuda::MemoryPool> Pool();
  cuda::Device& Device() { return *Pool()->device(); }

  // Throws Error(kFail) that says what is in use, the limit and what was asked for.
  void* Allocate(size_t bytes, CUstream stream);
  void Free(void* pointer) noexcept;

  // Streams on which the session's work runs, from the first to after the last use.
  void Add(CUstream stream);
  void Remove(CUstream stream) noexcept;
  void Synchronize();

 private:
  int ordinal_;
  size_t limit_;
  std::mutex mutex_;
  std::shared_ptr<cuda::MemoryPool> pool_;
  std::unordered_map<void*, CUstream> stream_of_;
  std::multiset<CUstream> streams_;  // several wrap the user's
};

// An OrtAllocator. Alloc gives null where there is no memory. ONNX Runtime's error for that has no
// text of ours, so the reason is logged, and kept for LastFailure.
class DeviceAllocator : public ort::OrtAllocator {
 public:
  DeviceAllocator(Api api, Logger logger, const ort::OrtMemoryInfo* info,
                  std::shared_ptr<DeviceMemory> memory);

  // What this thread's last allocation failed of; empty if it did not.
  static std::string LastFailure();

 private:
  void* Get(size_t bytes, CUstream stream) noexcept;

  Api api_;
  Logger logger_;
  const ort::OrtMemoryInfo* info_;
  std::shared_ptr<DeviceMemory> memory_;
};

// Throws Error(kFail) if a tensor that has bytes got no memory: `what` names it.
void RequireMemory(const void* data, size_t bytes, const char* what);

}  // namespace hidet
