#include "hidet_core/runtime/cuda/loaded_plan.h"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace hidet::cuda {
namespace {

constexpr size_t kDeviceAlignment = 256;  // of constants: that of a fresh allocation
constexpr uint32_t kSharedWithoutAsking = 48 * 1024;

std::shared_ptr<MemoryPool> MemoryOf(const DeviceOptions& options) {
  if (options.memory != nullptr) return options.memory;
  return std::make_shared<MemoryPool>(Device::Get(options.device_id), options.memory_limit);
}

bool IsSet(const char* variable) {
  const char* text = std::getenv(variable);
  return text != nullptr && *text != '\0' && std::strcmp(text, "0") != 0;
}

// The driver finds the end of an ELF file by its headers: they must not lead out of the image.
void CheckElf(ByteSpan image) {
  constexpr size_t kHeader = 64;
  const bool is_elf = image.bytes >= kHeader && std::memcmp(image.data, "\x7f" "ELF\x02", 5) == 0;
  if (!is_elf) Fail(ErrorCode::kInvalidPlan, "a kernel image for CUDA is no 64-bit ELF file");
  const auto read = [&](size_t offset, auto value) {
    std::memcpy(&value, image.data + offset, sizeof value);
    return value;
  };
  const uint64_t sections = read(0x28, uint64_t{});
  const uint64_t bytes = uint64_t{read(0x3A, uint16_t{})} * read(0x3C, uint16_t{});
  if (sections > image.bytes || bytes > image.bytes - sections) {
    Fail(ErrorCode::kInvalidPlan, "a kernel image for CUDA of %zu bytes is truncated", image.bytes);
  }
}

}  // namespace

LoadedPlan::LoadedPlan(PlanData plan, const ConstantView* constants, size_t constant_count,
                       const DeviceOptions& options)
    : data_(std::move(plan)),
      memory_(MemoryOf(options)),
      stream_(static_cast<CUstream>(options.stream)),
      use_graph_(options.use_graph),
      is_synchronous_(IsSet("HIDET_CUDA_SYNC")),
      layout_(PlaceConstants(data_, constants, constant_count, kDeviceAlignment)) {
  try {
    LoadModules();
    LoadFunctions();
    UploadConstants(constants);
  } catch (...) {
    Release();
    throw;
  }
}

LoadedPlan::~LoadedPlan() { Release(); }

void LoadedPlan::Release() noexcept {
  memory_->Free(constants_, nullptr);
  try {
    const Device::Scope scope(device());
    for (const CUmodule module : modules_) device().functions().ModuleUnload(module);
  } catch (const std::exception&) {
    // the device is gone, and the modules with it
  }
}

void LoadedPlan::LoadModules() {
  const Device::Scope scope(device());
  modules_.reserve(data_.images.size());
  const std::string what = "plan '" + data_.name + "'";
  std::vector<uint64_t> aligned;
  for (const ByteSpan& image : data_.images) {
    CheckElf(image);
    aligned.resize(image.bytes / sizeof(uint64_t) + 1);
    std::memcpy(aligned.data(), image.data, image.bytes);
    CUmodule module = nullptr;
    device().Check(device().functions().ModuleLoadData(&module, aligned.data()),
                   "cuModuleLoadData", what.c_str());
    modules_.push_back(module);
  }
  data_.images.clear();  // they point into bytes that may go now
}

void LoadedPlan::LoadFunctions() {
  const Device::Scope scope(device());
  const DriverFunctions& f = device().functions();
  functions_.reserve(data_.kernels.size());
  for (const KernelSpec& kernel : data_.kernels) {
    const std::string what = "kernel '" + kernel.symbol + "'";
    CUfunction function = nullptr;
    device().Check(f.ModuleGetFunction(&function, modules_[kernel.image], kernel.symbol.c_str()),
                   "cuModuleGetFunction", what.c_str());
    if (kernel.shared_bytes > kSharedWithoutAsking) {
      const auto bytes = static_cast<int>(kernel.shared_bytes);
      device().Check(
          f.FuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes),
          "cuFuncSetAttribute", what.c_str());
    }
    functions_.push_back(function);
  }
}

void LoadedPlan::UploadConstants(const ConstantView* constants) {
  if (layout_.bytes == 0) return;
  const CUstream stream = device().CreateStream();
  try {
    constants_ = static_cast<uint8_t*>(memory_->Allocate(layout_.bytes, stream));
    for (size_t i = 0; i < layout_.offsets.size(); ++i) {
      device().Copy(constants_ + layout_.offsets[i], Place::kCuda, constants[i].data, Place::kHost,
                    constants[i].bytes, stream);
    }
    device().Synchronize(stream);
  } catch (...) {
    device().DestroyStream(stream);
    throw;
  }
  device().DestroyStream(stream);
}

}  // namespace hidet::cuda
