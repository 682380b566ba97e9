// The GPUs that are declared to ONNX Runtime when the library is registered, and their memory.
//
// ONNX Runtime's own discovery misses GPUs (in containers, under WSL, on Jetson) and counts them as
// PCI does, so each GPU is declared as a device of our own, by its CUDA ordinal. To find them the
// driver is loaded, not initialised: a process that is forked after the import may still use CUDA.
// Hence more may be declared than CUDA_VISIBLE_DEVICES leaves; a session that asks for one which is
// not there fails with the driver's answer. Ownership: owns hardware devices and memory infos,
// which ONNX Runtime uses as long as the factory lives.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "ep/csrc/ort_api.h"

namespace hidet {

inline constexpr uint32_t kNvidia = 0x10DE;

// Frees an object of ONNX Runtime with one of its own functions.
template <typename T>
struct Releaser {
  void (*release)(T*) = nullptr;
  void operator()(T* object) const { release(object); }
};
template <typename T>
using Owned = std::unique_ptr<T, Releaser<T>>;

class Gpus {
 public:
  // Finds them: none where there is no driver.
  explicit Gpus(Api api);

  bool empty() const { return gpus_.empty(); }

  // Appends one OrtEpDevice for each; its option device_id is the ordinal.
  void Declare(ort::OrtEpFactory* factory, ort::OrtEpDevice** devices, size_t max_devices,
               size_t* count) const;

  // Of sessions that keep their tensors in host memory.
  const ort::OrtMemoryDevice* host_memory() const;

 private:
  struct Gpu {
    Owned<ort::OrtHardwareDevice> hardware;
    Owned<ort::OrtMemoryInfo> memory;
  };

  Owned<ort::OrtMemoryInfo> Memory(const char* name, ort::OrtMemoryInfoDeviceType type,
                                   uint32_t vendor, int32_t ordinal) const;

  Api api_;
  std::vector<Gpu> gpus_;
  Owned<ort::OrtMemoryInfo> host_;
};

// Whether tensors in this memory are on one of our GPUs; pinned host memory is not.
bool IsGpuMemory(const Api& api, const ort::OrtMemoryDevice& memory);

}  // namespace hidet
