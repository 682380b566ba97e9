#include "hidet_core/runtime/cuda/driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>

#include "hidet_core/runtime/error.h"

namespace hidet::cuda {
namespace {

constexpr int kOldestVersion = 12000;  // CUDA 12: kernel nodes of graphs in their second form
constexpr char kEmulator[] = "libhidet_emucuda.so";

std::atomic<bool> used{false};    // whether a driver was initialised in this process
std::atomic<bool> in_child{false};

void AfterFork() {
  if (used.load()) in_child.store(true);
}

// The emulated driver, from where this library lies: in hidet_core/ or beside it in hidet_ep/.
std::string EmulatorPath() {
  Dl_info self{};
  dladdr(reinterpret_cast<void*>(&EmulatorPath), &self);
  const std::string file = self.dli_fname == nullptr ? "" : self.dli_fname;
  const std::string folder = file.substr(0, file.find_last_of('/') + 1);
  for (const char* below : {"emulator/", "../hidet_core/emulator/", "../../hidet_core/emulator/"}) {
    const std::string path = folder + below + kEmulator;
    if (::access(path.c_str(), R_OK) == 0) return path;
  }
  Fail(ErrorCode::kFail,
       "HIDET_CUDA_DRIVER=emulated: %s is not in hidet_core/emulator, looked for from %s",
       kEmulator, folder.c_str());
}

std::string LibraryPath() {
  const char* wanted = std::getenv("HIDET_CUDA_DRIVER");
  if (wanted == nullptr || *wanted == '\0') return "libcuda.so.1";
  return std::string(wanted) == "emulated" ? EmulatorPath() : wanted;
}

struct Symbol {
  const char* name;
  void* slot;
};

}  // namespace

bool Driver::forked() { return in_child.load(std::memory_order_relaxed); }

bool Driver::IsInstalled() noexcept {
  try {
    return dlopen(LibraryPath().c_str(), RTLD_LAZY | RTLD_LOCAL) != nullptr;  // it stays
  } catch (const std::exception&) {
    return false;  // no emulator beside us
  }
}

const Driver& Driver::Get() {
  if (forked()) {
    Fail(ErrorCode::kFail,
         "CUDA was used before this process was forked, so it cannot be used here: start processes "
         "with 'spawn', or fork before the first use of CUDA");
  }
  static std::mutex mutex;
  static auto& drivers = *new std::map<std::string, std::unique_ptr<Driver>>;
  const std::string path = LibraryPath();
  const std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<Driver>& driver = drivers[path];
  if (!driver) {
    driver.reset(new Driver(path));
    if (!used.exchange(true)) pthread_atfork(nullptr, nullptr, AfterFork);
  }
  driver->Check(driver->functions_.Init(0), "cuInit");  // does nothing if it was done
  return *driver;
}

Driver::Driver(const std::string& path) {
  library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library_ == nullptr) {
    Fail(ErrorCode::kFail, "no CUDA driver: %s (NVIDIA's driver installs it)", dlerror());
  }
  DriverFunctions& f = functions_;
  const Symbol symbols[] = {
      {"cuInit", &f.Init},
      {"cuDriverGetVersion", &f.DriverGetVersion},
      {"cuGetErrorName", &f.GetErrorName},
      {"cuGetErrorString", &f.GetErrorString},
      {"cuDeviceGetCount", &f.DeviceGetCount},
      {"cuDeviceGet", &f.DeviceGet},
      {"cuDeviceGetName", &f.DeviceGetName},
      {"cuDeviceGetUuid_v2", &f.DeviceGetUuid},
      {"cuDeviceTotalMem_v2", &f.DeviceTotalMem},
      {"cuDeviceGetAttribute", &f.DeviceGetAttribute},
      {"cuDevicePrimaryCtxRetain", &f.DevicePrimaryCtxRetain},
      {"cuDevicePrimaryCtxRelease_v2", &f.DevicePrimaryCtxRelease},
      {"cuCtxGetCurrent", &f.CtxGetCurrent},
      {"cuCtxPushCurrent_v2", &f.CtxPushCurrent},
      {"cuCtxPopCurrent_v2", &f.CtxPopCurrent},
      {"cuMemGetInfo_v2", &f.MemGetInfo},
      {"cuMemAlloc_v2", &f.MemAlloc},
      {"cuMemFree_v2", &f.MemFree},
      {"cuMemHostAlloc", &f.MemHostAlloc},
      {"cuMemFreeHost", &f.MemFreeHost},
      {"cuMemcpyAsync", &f.MemcpyAsync},
      {"cuMemcpyHtoDAsync_v2", &f.MemcpyHtoDAsync},
      {"cuMemcpyDtoHAsync_v2", &f.MemcpyDtoHAsync},
      {"cuMemcpyDtoDAsync_v2", &f.MemcpyDtoDAsync},
      {"cuMemsetD8Async", &f.MemsetD8Async},
      {"cuStreamCreate", &f.StreamCreate},
      {"cuStreamDestroy_v2", &f.StreamDestroy},
      {"cuStreamSynchronize", &f.StreamSynchronize},
      {"cuStreamWaitEvent", &f.StreamWaitEvent},
      {"cuStreamIsCapturing", &f.StreamIsCapturing},
      {"cuEventCreate", &f.EventCreate},
      {"cuEventDestroy_v2", &f.EventDestroy},
      {"cuEventRecord", &f.EventRecord},
      {"cuEventQuery", &f.EventQuery},
      {"cuEventSynchronize", &f.EventSynchronize},
      {"cuEventElapsedTime", &f.EventElapsedTime},
      {"cuModuleLoadData", &f.ModuleLoadData},
      {"cuModuleUnload", &f.ModuleUnload},
      {"cuModuleGetFunction", &f.ModuleGetFunction},
      {"cuFuncSetAttribute", &f.FuncSetAttribute},
      {"cuFuncGetAttribute", &f.FuncGetAttribute},
      {"cuLaunchKernelEx", &f.LaunchKernelEx},
      {"cuGraphCreate", &f.GraphCreate},
      {"cuGraphDestroy", &f.GraphDestroy},
      {"cuGraphAddKernelNode_v2", &f.GraphAddKernelNode},
      {"cuGraphInstantiateWithFlags", &f.GraphInstantiate},
      {"cuGraphExecDestroy", &f.GraphExecDestroy},
      {"cuGraphExecKernelNodeSetParams_v2", &f.GraphExecKernelNodeSetParams},
      {"cuGraphLaunch", &f.GraphLaunch},
      {"cuTensorMapEncodeTiled", &f.TensorMapEncodeTiled},
  };
  const char* missing = nullptr;
  for (const Symbol& symbol : symbols) {
    void* address = dlsym(library_, symbol.name);
    *static_cast<void**>(symbol.slot) = address;
    if (address == nullptr && missing == nullptr) missing = symbol.name;
  }
  *reinterpret_cast<void**>(&f.GraphAddDependencies) =
      dlsym(library_, "cuGraphAddDependencies_v2");
  *reinterpret_cast<void**>(&f.EmulatorLastError) = dlsym(library_, "hidetEmuLastError");
  if (f.DriverGetVersion != nullptr) f.DriverGetVersion(&version_);
  if (missing != nullptr || version_ < kOldestVersion) {
    dlclose(library_);
    if (version_ == 0) Fail(ErrorCode::kFail, "%s is no CUDA driver: no %s", path.c_str(), missing);
    Fail(ErrorCode::kFail,
         "the CUDA driver %s supports CUDA %d.%d: CUDA %d.%d or newer is needed%s%s", path.c_str(),
         version_ / 1000, version_ % 1000 / 10, kOldestVersion / 1000, kOldestVersion % 1000 / 10,
         missing == nullptr ? "" : ", it lacks ", missing == nullptr ? "" : missing);
  }
}

std::string Driver::Describe(CUresult code) const {
  const char* name = nullptr;
  const char* meaning = nullptr;
  functions_.GetErrorName(code, &name);
  functions_.GetErrorString(code, &meaning);
  std::string text = name == nullptr ? "CUDA error " + std::to_string(code) : name;
  if (meaning != nullptr) text += std::string(" (") + meaning + ")";
  if (!emulated()) return text;
  const std::string detail = functions_.EmulatorLastError();
  return detail.empty() ? text : text + ": " + detail;
}

void Driver::Check(CUresult code, const char* call) const {
  if (code == CUDA_SUCCESS) return;
  Fail(ErrorCode::kFail, "%s: %s", call, Describe(code).c_str());
}

}  // namespace hidet::cuda
