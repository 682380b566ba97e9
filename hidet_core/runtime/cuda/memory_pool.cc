#include "hidet_core/runtime/cuda/memory_pool.h"

#include <algorithm>

#include "hidet_core/runtime/error.h"

namespace hidet::cuda {
namespace {

constexpr size_t kSmallest = 512;
constexpr size_t kLarge = size_t{32} << 20;
constexpr size_t kLargeStep = size_t{2} << 20;

}  // namespace

MemoryPool::MemoryPool(std::shared_ptr<Device> device, size_t limit)
    : device_(std::move(device)), limit_(limit), event_(device_->CreateEvent(false)) {}

MemoryPool::~MemoryPool() {
  for (const auto& [pointer, bytes] : in_use_) {
    kept_[{bytes, nullptr}].push_back(pointer);  // of somebody who is gone
  }
  try {
    TrimLocked();
  } catch (const std::exception&) {
    // the device cannot be used any more: its context takes the memory with it
  }
  device_->DestroyEvent(event_);
}

// Few sizes, so that what is kept fits later wishes: eight per power of two. The emulated device
// gets what was asked for, since it checks the bounds.
size_t MemoryPool::RoundUp(size_t bytes) const {
  if (device_->info().emulated) return bytes;
  size_t step = kLargeStep;
  if (bytes <= kLarge) {
    step = kSmallest;
    while (step * 16 < bytes) step *= 2;
  }
  return (bytes + step - 1) / step * step;
}

void* MemoryPool::Allocate(size_t bytes, CUstream stream) {
  if (bytes == 0) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (bytes > limit_) FailOutOfMemory(bytes, CUDA_SUCCESS);
  const size_t rounded = std::min(RoundUp(bytes), limit_);
  void* pointer = TakeKept(rounded, stream);
  if (pointer == nullptr) pointer = TakeNew(rounded, bytes);
  in_use_.emplace(pointer, rounded);
  bytes_in_use_ += rounded;
  return pointer;
}

void* MemoryPool::TakeKept(size_t bytes, CUstream stream) {
  auto found = kept_.find({bytes, stream});
  if (found == kept_.end()) found = kept_.find({bytes, nullptr});
  if (found == kept_.end() && stream != nullptr) {
    found = kept_.lower_bound({bytes, nullptr});
    if (found == kept_.end() || found->first.first != bytes) return nullptr;
    device_->Record(event_, found->first.second);
    device_->Wait(stream, event_);
  }
  if (found == kept_.end()) return nullptr;
  void* pointer = found->second.back();
  found->second.pop_back();
  if (found->second.empty()) kept_.erase(found);
  bytes_kept_ -= bytes;
  return pointer;
}

void* MemoryPool::TakeNew(size_t bytes, size_t asked) {
  const auto fits = [&] { return bytes_in_use_ + bytes_kept_ <= limit_ - bytes; };
  if (!fits()) TrimLocked();
  if (!fits()) FailOutOfMemory(asked, CUDA_SUCCESS);
  const Device::Scope scope(*device_);
  CUdeviceptr address = 0;
  CUresult code = device_->functions().MemAlloc(&address, bytes);
  if (code == CUDA_ERROR_OUT_OF_MEMORY && bytes_kept_ > 0) {
    TrimLocked();
    code = device_->functions().MemAlloc(&address, bytes);
  }
  if (code == CUDA_ERROR_OUT_OF_MEMORY) FailOutOfMemory(asked, code);
  device_->Check(code, "cuMemAlloc");
  return reinterpret_cast<void*>(static_cast<uintptr_t>(address));
}

void MemoryPool::FailOutOfMemory(size_t asked, CUresult code) const {
  const Device::Scope scope(*device_);
  size_t free = 0;
  size_t total = 0;
  device_->functions().MemGetInfo(&free, &total);
  const std::string limit =
      limit_ == SIZE_MAX ? "no limit" : "a limit of " + std::to_string(limit_) + " bytes";
  const std::string why =
      code == CUDA_SUCCESS ? "" : " " + device_->driver().Describe(code) + ".";
  Fail(ErrorCode::kFail,
       "CUDA device %d: out of memory:%s %zu bytes asked for, %zu in use, %zu kept, %s; the device "
       "has %zu of %zu bytes free",
       device_->ordinal(), why.c_str(), asked, bytes_in_use_, bytes_kept_, limit.c_str(), free,
       total);
}

void MemoryPool::Free(void* pointer, CUstream stream) noexcept {
  if (pointer == nullptr) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = in_use_.find(pointer);
  if (found == in_use_.end()) return;
  const size_t bytes = found->second;
  in_use_.erase(found);
  bytes_in_use_ -= bytes;
  bytes_kept_ += bytes;
  kept_[{bytes, stream}].push_back(pointer);
}

void MemoryPool::Forget(CUstream stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  device_->Synchronize(stream);
  for (auto next = kept_.begin(); next != kept_.end();) {
    const auto here = next++;
    if (here->first.second != stream) continue;
    auto& idle = kept_[{here->first.first, nullptr}];
    idle.insert(idle.end(), here->second.begin(), here->second.end());
    kept_.erase(here);
  }
}

void MemoryPool::Trim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  TrimLocked();
}

void MemoryPool::TrimLocked() {
  const Device::Scope scope(*device_);
  for (auto next = kept_.begin(); next != kept_.end(); next = kept_.erase(next)) {
    const auto& [key, pointers] = *next;
    if (key.second != nullptr) device_->Synchronize(key.second);
    for (void* pointer : pointers) {
      device_->Check(device_->functions().MemFree(Address(pointer)), "cuMemFree");
    }
    bytes_kept_ -= key.first * pointers.size();
  }
}

size_t MemoryPool::bytes_in_use() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return bytes_in_use_;
}

size_t MemoryPool::bytes_kept() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return bytes_kept_;
}

}  // namespace hidet::cuda
