// A GPU in use: its primary context, streams, events and copies.
//
// One Device per ordinal lives as long as somebody holds it. Threading: thread-safe; every method
// makes the context current for its duration and then restores the caller's. Errors: Error(kFail)
// with the CUDA error's name. An error of a kernel ends the use of the device by this process:
// later calls throw, saying what it was. What gives something back never throws.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "hidet_core/runtime/cuda/driver.h"
#include "hidet_core/runtime/run_context.h"

namespace hidet::cuda {

struct DeviceInfo {
  std::string name;
  int compute_major, compute_minor;
  int multiprocessors;
  int clock_khz, memory_clock_khz, memory_bus_bits;
  size_t memory_bytes;
  int l2_bytes;
  int shared_bytes_per_block, shared_bytes_per_block_optin, shared_bytes_per_multiprocessor;
  int threads_per_multiprocessor, blocks_per_multiprocessor, registers_per_multiprocessor;
  int pci_domain, pci_bus, pci_device;
  int driver_version;  // 1000 * major + 10 * minor
  bool emulated;
};

// How many devices the driver has. Throws where there is no driver.
int DeviceCount();

// Makes no context.
DeviceInfo QueryDevice(int ordinal);

class Device {
 public:
  static std::shared_ptr<Device> Get(int ordinal);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Makes the context current, and the one before again at its end. Throws if the device cannot be
  // used any more.
  class Scope {
   public:
    explicit Scope(const Device& device);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    const Driver* pushed_ = nullptr;
  };

  // Whether an error of a kernel has ended its use.
  bool is_broken() const { return broken_.load(std::memory_order_acquire); }

  int ordinal() const { return ordinal_; }
  const DeviceInfo& info() const { return info_; }
  const Driver& driver() const { return driver_; }
  const DriverFunctions& functions() const { return driver_.functions(); }

  // Streams that do not wait for the legacy default stream.
  CUstream CreateStream();
  void DestroyStream(CUstream stream) noexcept;
  void Synchronize(CUstream stream) const;
  bool IsCapturing(CUstream stream) const;

  CUevent CreateEvent(bool timed);
  void DestroyEvent(CUevent event) noexcept;
  void Record(CUevent event, CUstream stream) const;
  void Wait(CUstream stream, CUevent event) const;  // the stream waits, not the host
  void Synchronize(CUevent event) const;
  float MillisecondsBetween(CUevent begin, CUevent end) const;

  // In stream order. Copies from or to pageable memory of the host may be done before they return.
  void Copy(void* to, Place to_place, const void* from, Place from_place, size_t bytes,
            CUstream stream) const;
  void Zero(void* to, size_t bytes, CUstream stream) const;

  // Throws Error(kFail) unless `code` is CUDA_SUCCESS. `what` says whose call it was (may be null).
  void Check(CUresult code, const char* call, const char* what = nullptr) const;

 private:
  Device(const Driver& driver, int ordinal);
  void RequireUsable() const;

  const Driver& driver_;
  int ordinal_;
  DeviceInfo info_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  mutable std::atomic<bool> broken_{false};
  mutable std::mutex mutex_;
  mutable std::string why_broken_;
};

inline CUdeviceptr Address(const void* pointer) {
  return static_cast<CUdeviceptr>(reinterpret_cast<uintptr_t>(pointer));
}

}  // namespace hidet::cuda
