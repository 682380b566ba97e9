#include "ep/csrc/gpus.h"

#include <algorithm>
#include <filesystem>
#include <string>

#include "hidet_core/runtime/cuda/driver.h"

namespace hidet {
namespace {

constexpr size_t kMaxGpus = 7;  // ONNX Runtime takes 8 devices of a factory; one is the CPU
constexpr char kListOfTheKernel[] = "/proc/driver/nvidia/gpus";

size_t CountGpus() {
  if (!cuda::Driver::IsInstalled()) return 0;
  std::error_code missing;  // of a driver that lists its devices elsewhere
  std::filesystem::directory_iterator folder(kListOfTheKernel, missing);
  const auto listed = missing ? 0 : std::distance(begin(folder), end(folder));
  return std::clamp(static_cast<size_t>(listed), size_t{1}, kMaxGpus);
}

class KeyValues {
 public:
  explicit KeyValues(const Api& api) : api_(api) { api_->CreateKeyValuePairs(&pairs_); }
  ~KeyValues() { api_->ReleaseKeyValuePairs(pairs_); }
  KeyValues(const KeyValues&) = delete;
  KeyValues& operator=(const KeyValues&) = delete;

  void Add(const char* key, const std::string& value) {
    api_->AddKeyValuePair(pairs_, key, value.c_str());
  }
  const ort::OrtKeyValuePairs* get() const { return pairs_; }

 private:
  const Api& api_;
  ort::OrtKeyValuePairs* pairs_ = nullptr;
};

}  // namespace

Gpus::Gpus(Api api) : api_(api) {
  const size_t count = CountGpus();
  if (count == 0) return;
  host_ = Memory("Cpu", ort::kCpuMemory, /*vendor=*/0, 0);
  KeyValues metadata(api_);
  metadata.Add("is_virtual", "1");
  for (size_t ordinal = 0; ordinal < count; ++ordinal) {
    Gpu gpu;
    ort::OrtHardwareDevice* hardware = nullptr;
    api_.Check(api_.ep().CreateHardwareDevice(ort::kGpuDevice, kNvidia,
                                              static_cast<uint32_t>(ordinal), "NVIDIA",
                                              metadata.get(), &hardware));
    gpu.hardware = {hardware, {api_.ep().ReleaseHardwareDevice}};
    gpu.memory =
        Memory("HidetCUDA", ort::kGpuMemory, kNvidia, static_cast<int32_t>(ordinal));
    gpus_.push_back(std::move(gpu));
  }
}

Owned<ort::OrtMemoryInfo> Gpus::Memory(const char* name, ort::OrtMemoryInfoDeviceType type,
                                       uint32_t vendor, int32_t ordinal) const {
  // Part of a device's identity: tensors that others make on a 'cuda' device have 0 too.
  constexpr size_t kAlignment = 0;
  ort::OrtMemoryInfo* memory = nullptr;
  api_.Check(api_->CreateMemoryInfo_V2(name, type, vendor, ordinal, ort::kDefaultMemory, kAlignment,
                                       ort::kDeviceAllocator, &memory));
  return {memory, {api_->ReleaseMemoryInfo}};
}

void Gpus::Declare(ort::OrtEpFactory* factory, ort::OrtEpDevice** devices, size_t max_devices,
                   size_t* count) const {
  for (size_t ordinal = 0; ordinal < gpus_.size() && *count < max_devices; ++ordinal) {
    KeyValues options(api_);
    options.Add("device_id", std::to_string(ordinal));
    ort::OrtEpDevice* device = nullptr;
    api_.Check(api_.ep().CreateEpDevice(factory, gpus_[ordinal].hardware.get(), nullptr,
                                        options.get(), &device));
    Owned<ort::OrtEpDevice> owned{device, {api_.ep().ReleaseEpDevice}};
    api_.Check(api_.ep().EpDevice_AddAllocatorInfo(device, gpus_[ordinal].memory.get()));
    devices[(*count)++] = owned.release();
  }
}

const ort::OrtMemoryDevice* Gpus::host_memory() const {
  return api_.ep().MemoryInfo_GetMemoryDevice(host_.get());
}

bool IsGpuMemory(const Api& api, const ort::OrtMemoryDevice& memory) {
  return api.ep().MemoryDevice_GetDeviceType(&memory) == ort::kGpuMemory &&
         api.ep().MemoryDevice_GetMemoryType(&memory) == ort::kDefaultMemory;
}

}  // namespace hidet
