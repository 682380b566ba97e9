// The CUDA driver, loaded when it is first needed: nothing links it.
//
// Environment variable HIDET_CUDA_DRIVER: a path, or "emulated" for the emulated driver beside this
// package; unset: libcuda.so.1. Lifetime: a library once loaded stays. Threading: thread-safe.
#pragma once

#include <string>

#include "hidet_core/runtime/cuda/cuda_abi.h"

namespace hidet::cuda {

template <typename... Arguments>
using DriverCall = CUresult (*)(Arguments...);

// The driver's functions that we use.
struct DriverFunctions {
  DriverCall<unsigned> Init;
  DriverCall<int*> DriverGetVersion;
  DriverCall<CUresult, const char**> GetErrorName;
  DriverCall<CUresult, const char**> GetErrorString;
  DriverCall<int*> DeviceGetCount;
  DriverCall<CUdevice*, int> DeviceGet;
  DriverCall<char*, int, CUdevice> DeviceGetName;
  DriverCall<CUuuid*, CUdevice> DeviceGetUuid;
  DriverCall<size_t*, CUdevice> DeviceTotalMem;
  DriverCall<int*, CUdevice_attribute, CUdevice> DeviceGetAttribute;
  DriverCall<CUcontext*, CUdevice> DevicePrimaryCtxRetain;
  DriverCall<CUdevice> DevicePrimaryCtxRelease;
  DriverCall<CUcontext*> CtxGetCurrent;
  DriverCall<CUcontext> CtxPushCurrent;
  DriverCall<CUcontext*> CtxPopCurrent;
  DriverCall<size_t*, size_t*> MemGetInfo;
  DriverCall<CUdeviceptr*, size_t> MemAlloc;
  DriverCall<CUdeviceptr> MemFree;
  DriverCall<void**, size_t, unsigned> MemHostAlloc;
  DriverCall<void*> MemFreeHost;
  DriverCall<CUdeviceptr, CUdeviceptr, size_t, CUstream> MemcpyAsync;
  DriverCall<CUdeviceptr, const void*, size_t, CUstream> MemcpyHtoDAsync;
  DriverCall<void*, CUdeviceptr, size_t, CUstream> MemcpyDtoHAsync;
  DriverCall<CUdeviceptr, CUdeviceptr, size_t, CUstream> MemcpyDtoDAsync;
  DriverCall<CUdeviceptr, unsigned char, size_t, CUstream> MemsetD8Async;
  DriverCall<CUstream*, unsigned> StreamCreate;
  DriverCall<CUstream> StreamDestroy;
  DriverCall<CUstream> StreamSynchronize;
  DriverCall<CUstream, CUevent, unsigned> StreamWaitEvent;
  DriverCall<CUstream, CUstreamCaptureStatus*> StreamIsCapturing;
  DriverCall<CUevent*, unsigned> EventCreate;
  DriverCall<CUevent> EventDestroy;
  DriverCall<CUevent, CUstream> EventRecord;
  DriverCall<CUevent> EventQuery;
  DriverCall<CUevent> EventSynchronize;
  DriverCall<float*, CUevent, CUevent> EventElapsedTime;
  DriverCall<CUmodule*, const void*> ModuleLoadData;
  DriverCall<CUmodule> ModuleUnload;
  DriverCall<CUfunction*, CUmodule, const char*> ModuleGetFunction;
  DriverCall<CUfunction, CUfunction_attribute, int> FuncSetAttribute;
  DriverCall<int*, CUfunction_attribute, CUfunction> FuncGetAttribute;
  DriverCall<const CUlaunchConfig*, CUfunction, void**, void**> LaunchKernelEx;
  DriverCall<CUgraph*, unsigned> GraphCreate;
  DriverCall<CUgraph> GraphDestroy;
  DriverCall<CUgraphNode*, CUgraph, const CUgraphNode*, size_t, const CUDA_KERNEL_NODE_PARAMS*>
      GraphAddKernelNode;
  DriverCall<CUgraphExec*, CUgraph, unsigned long long> GraphInstantiate;
  DriverCall<CUgraphExec> GraphExecDestroy;
  DriverCall<CUgraphExec, CUgraphNode, const CUDA_KERNEL_NODE_PARAMS*>
      GraphExecKernelNodeSetParams;
  DriverCall<CUgraphExec, CUstream> GraphLaunch;
  DriverCall<CUtensorMap*, CUtensorMapDataType, uint32_t, void*, const uint64_t*, const uint64_t*,
             const uint32_t*, const uint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
             CUtensorMapL2promotion, CUtensorMapFloatOOBfill>
      TensorMapEncodeTiled;
  // null before CUDA 12.3
  DriverCall<CUgraph, const CUgraphNode*, const CUgraphNode*, const CUgraphEdgeData*, size_t>
      GraphAddDependencies;
  // only of the emulated driver, else null
  const char* (*EmulatorLastError)();
};

class Driver {
 public:
  // Loaded and initialised. Throws Error(kFail) saying what is missing: the library, a function, a
  // device, a new enough version; or that this process was forked after CUDA was used.
  static const Driver& Get();

  // Whether there is a library. It is not initialised, so a process that is forked after this may
  // still use CUDA. Never throws.
  static bool IsInstalled() noexcept;

  // After a fork the driver's state is unusable in the child: nothing may be called, not even to
  // give back what the parent had.
  static bool forked();

  const DriverFunctions& functions() const { return functions_; }
  int version() const { return version_; }  // 1000 * major + 10 * minor
  bool emulated() const { return functions_.EmulatorLastError != nullptr; }

  // "CUDA_ERROR_... (what it means)", and what the emulator knows of it.
  std::string Describe(CUresult code) const;

  // Throws Error(kFail) naming the call and the error unless `code` is CUDA_SUCCESS.
  void Check(CUresult code, const char* call) const;

 private:
  explicit Driver(const std::string& path);

  void* library_ = nullptr;
  DriverFunctions functions_{};
  int version_ = 0;
};

}  // namespace hidet::cuda
