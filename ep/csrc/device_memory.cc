#include "ep/csrc/device_memory.h"

#include <utility>
#include <vector>

namespace hidet {
namespace {

std::string& Failure() {
  thread_local std::string text;
  return text;
}

}  // namespace

std::shared_ptr<cuda::MemoryPool> DeviceMemory::Pool() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (pool_ == nullptr) {
    pool_ = std::make_shared<cuda::MemoryPool>(cuda::Device::Get(ordinal_), limit_);
  }
  return pool_;
}

void* DeviceMemory::Allocate(size_t bytes, CUstream stream) {
  const std::shared_ptr<cuda::MemoryPool> pool = Pool();
  void* pointer = pool->Allocate(bytes, stream);
  if (stream == nullptr || pointer == nullptr) return pointer;
  const std::lock_guard<std::mutex> lock(mutex_);
  stream_of_[pointer] = stream;
  return pointer;
}

void DeviceMemory::Free(void* pointer) noexcept {
  if (pointer == nullptr) return;
  CUstream stream = nullptr;
  std::vector<CUstream> all;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = stream_of_.find(pointer);
    if (found != stream_of_.end()) {
      stream = found->second;
      stream_of_.erase(found);
    } else {
      all.assign(streams_.begin(), streams_.end());
    }
  }
  if (all.size() == 1) stream = all.front();
  try {
    if (all.size() > 1) {
      for (const CUstream each : all) Device().Synchronize(each);
    }
  } catch (const std::exception&) {
    // the device is broken: nothing runs on it any more
  }
  pool_->Free(pointer, stream);
}

void DeviceMemory::Add(CUstream stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  streams_.insert(stream);
}

void DeviceMemory::Remove(CUstream stream) noexcept {
  try {
    Pool()->Forget(stream);
  } catch (const std::exception&) {
    // the device is broken: nothing runs on it any more
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = streams_.find(stream);
  if (found != streams_.end()) streams_.erase(found);
  for (auto block = stream_of_.begin(); block != stream_of_.end();) {
    block = block->second == stream && streams_.count(stream) == 0 ? stream_of_.erase(block)
                                                                   : std::next(block);
  }
}

void DeviceMemory::Synchronize() {
  std::vector<CUstream> all;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    all.assign(streams_.begin(), streams_.end());
  }
  for (const CUstream stream : all) Device().Synchronize(stream);
}

DeviceAllocator::DeviceAllocator(Api api, Logger logger, const ort::OrtMemoryInfo* info,
                                 std::shared_ptr<DeviceMemory> memory)
    : ort::OrtAllocator{}, api_(api), logger_(logger), info_(info), memory_(std::move(memory)) {
  version = api.version();
  Alloc = [](ort::OrtAllocator* self, size_t bytes) {
    return static_cast<DeviceAllocator*>(self)->Get(bytes, nullptr);
  };
  Reserve = Alloc;
  AllocOnStream = [](ort::OrtAllocator* self, size_t bytes, ort::OrtSyncStream* stream) {
    auto* allocator = static_cast<DeviceAllocator*>(self);
    void* handle = stream == nullptr ? nullptr : allocator->api_->SyncStream_GetHandle(stream);
    return allocator->Get(bytes, static_cast<CUstream>(handle));
  };
  Free = [](ort::OrtAllocator* self, void* pointer) {
    static_cast<DeviceAllocator*>(self)->memory_->Free(pointer);
  };
  Info = [](const ort::OrtAllocator* self) {
    return static_cast<const DeviceAllocator*>(self)->info_;
  };
}

void* DeviceAllocator::Get(size_t bytes, CUstream stream) noexcept {
  Failure().clear();
  try {
    return memory_->Allocate(bytes, stream);
  } catch (const std::exception& error) {
    Failure() = error.what();
    logger_.Log(ort::kError, "HidetEP: no memory on the GPU: " + Failure());
    return nullptr;
  }
}

std::string DeviceAllocator::LastFailure() { return Failure(); }

void RequireMemory(const void* data, size_t bytes, const char* what) {
  if (data != nullptr || bytes == 0) return;
  const std::string why = DeviceAllocator::LastFailure();
  Fail(ErrorCode::kFail, "HidetEP: no memory on the GPU for %s of %zu bytes%s%s", what, bytes,
       why.empty() ? "" : ": ", why.c_str());
}

}  // namespace hidet
