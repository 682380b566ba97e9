// Device memory for one user (an executable, a session): it counts, has a limit, and keeps what is
// given back for the next one.
//
// Stream-ordered: memory given back in a stream may be used again at once by later work of that
// stream; another stream that gets it waits (on the device) for what the first one had to do by
// then. Ownership: gives all of it back to the device at its end, after waiting for the device's
// streams that used it; holds the device. Threading: thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "hidet_core/runtime/cuda/device.h"

namespace hidet::cuda {

class MemoryPool {
 public:
  // limit: bytes taken from the device at a time, in use and kept.
  MemoryPool(std::shared_ptr<Device> device, size_t limit);
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  // At least `bytes`, aligned to 256, for work of `stream`; 0 bytes: null. A null stream: for any
  // stream, at once. Throws Error(kFail) saying what is in use, the limit and what was asked for.
  void* Allocate(size_t bytes, CUstream stream);

  // Of memory of this pool (or null), last used by work that is in `stream` by now. A null stream:
  // nothing on the device uses it. Never throws.
  void Free(void* pointer, CUstream stream) noexcept;

  // Before a stream of somebody else ends: waits for it.
  void Forget(CUstream stream);

  // Gives back what is kept. Waits for the streams that used it.
  void Trim();

  const std::shared_ptr<Device>& device() const { return device_; }
  size_t limit() const { return limit_; }
  size_t bytes_in_use() const;
  size_t bytes_kept() const;

 private:
  using Key = std::pair<size_t, CUstream>;  // bytes, and whose work comes before

  size_t RoundUp(size_t bytes) const;
  void* TakeKept(size_t bytes, CUstream stream);
  void* TakeNew(size_t bytes, size_t asked);
  void TrimLocked();
  void Synchronize(CUstream stream);
  [[noreturn]] void FailOutOfMemory(size_t asked, CUresult code) const;

  std::shared_ptr<Device> device_;
  size_t limit_;
  mutable std::mutex mutex_;
  CUevent event_ = nullptr;                   // for streams to wait for each other
  std::map<Key, std::vector<void*>> kept_;
  std::unordered_map<void*, size_t> in_use_;  // bytes
  size_t bytes_in_use_ = 0;
  size_t bytes_kept_ = 0;
};

}  // namespace hidet::cuda
