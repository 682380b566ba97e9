// Tests of cuda::MemoryPool on the emulated driver; test_memory_pool.py builds and runs it.
//
//   pool_driver DRIVER      prints what is wrong, nothing if all is right
#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "hidet_core/runtime/cuda/memory_pool.h"
#include "hidet_core/runtime/error.h"

namespace {

using hidet::cuda::Device;
using hidet::cuda::MemoryPool;

int failures = 0;

void Expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("wrong: %s\n", what);
  ++failures;
}

// The text of the error of `action`, "" if there is none.
template <typename Action>
std::string ErrorOf(Action action) {
  try {
    action();
  } catch (const hidet::Error& error) {
    return error.what();
  }
  return "";
}

struct Streams {
  explicit Streams(Device& owner)
      : device(owner), first(owner.CreateStream()), second(owner.CreateStream()) {}
  ~Streams() {
    device.DestroyStream(first);
    device.DestroyStream(second);
  }
  Device& device;
  CUstream first, second;
};

void MemoryIsUsedAgain() {
  const auto device = Device::Get(0);
  const Streams streams(*device);
  MemoryPool pool(device, SIZE_MAX);
  void* const memory = pool.Allocate(1000, streams.first);
  Expect(pool.bytes_in_use() >= 1000 && pool.bytes_kept() == 0, "what is in use");
  pool.Free(memory, streams.first);
  Expect(pool.bytes_in_use() == 0 && pool.bytes_kept() >= 1000, "what is kept");
  Expect(pool.Allocate(1000, streams.first) == memory, "memory of the same stream");
  pool.Free(memory, streams.first);
  Expect(pool.Allocate(1000, nullptr) != memory, "memory of a stream, for all at once");
  Expect(pool.Allocate(1000, streams.second) == memory, "memory of another stream");
  pool.Free(memory, nullptr);
  Expect(pool.Allocate(1000, streams.first) == memory, "memory that nobody uses");
  Expect(pool.Allocate(0, streams.first) == nullptr, "no memory");
  pool.Free(nullptr, streams.first);
}

void TheLimitHolds() {
  const auto device = Device::Get(0);
  const Streams streams(*device);
  MemoryPool pool(device, 8192);
  void* const large = pool.Allocate(6000, streams.first);
  const std::string text = ErrorOf([&] { pool.Allocate(4000, streams.first); });
  Expect(text.find("4000 bytes asked for, 6000 in use, 0 kept, a limit of 8192") !=
             std::string::npos,
         text.c_str());
  pool.Free(large, streams.first);
  void* const other = pool.Allocate(4000, streams.second);  // what was kept goes back for it
  Expect(other != nullptr && pool.bytes_kept() == 0, "room for another size");
  Expect(!ErrorOf([&] { pool.Allocate(size_t{1} << 60, nullptr); }).empty(), "too much");
  MemoryPool unlimited(device, SIZE_MAX);
  const std::string device_text =
      ErrorOf([&] { unlimited.Allocate(size_t{1} << 50, streams.first); });
  Expect(device_text.find("CUDA_ERROR_OUT_OF_MEMORY") != std::string::npos, device_text.c_str());
}

void AStreamMayEnd() {
  const auto device = Device::Get(0);
  MemoryPool pool(device, SIZE_MAX);
  const CUstream gone = device->CreateStream();
  void* const memory = pool.Allocate(5000, gone);
  device->Zero(memory, 5000, gone);
  pool.Free(memory, gone);
  pool.Forget(gone);
  device->DestroyStream(gone);
  const Streams streams(*device);
  Expect(pool.Allocate(5000, streams.first) == memory, "memory of a stream that ended");
  pool.Free(memory, streams.first);
  pool.Trim();
  Expect(pool.bytes_kept() == 0, "nothing is kept");
}

void ThreadsAtOnce() {
  const auto device = Device::Get(0);
  MemoryPool pool(device, size_t{1} << 20);
  std::mutex mutex;
  std::set<void*> taken;
  std::atomic<int> twice{0};
  std::vector<std::thread> threads;
  for (unsigned worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&, worker] {
      const CUstream stream = device->CreateStream();
      std::mt19937 random(worker);
      for (int turn = 0; turn < 200; ++turn) {
        void* const memory = pool.Allocate(256 << random() % 4, stream);
        {
          const std::lock_guard<std::mutex> lock(mutex);
          twice += !taken.insert(memory).second;
        }
        device->Zero(memory, 256, stream);
        {
          const std::lock_guard<std::mutex> lock(mutex);
          taken.erase(memory);
        }
        pool.Free(memory, stream);
      }
      pool.Forget(stream);
      device->DestroyStream(stream);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Expect(twice == 0, "memory was given out twice");
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) return 2;
  setenv("HIDET_CUDA_DRIVER", words[1], 1);
  MemoryIsUsedAgain();
  TheLimitHolds();
  AStreamMayEnd();
  ThreadsAtOnce();
  void* const driver = dlopen(words[1], RTLD_NOW);
  const auto live = reinterpret_cast<uint64_t (*)(const char*)>(dlsym(driver, "hidetEmuCount"));
  Expect(live("objects") == 0, "everything was given back");
  return failures == 0 ? 0 : 1;
}
