// Initialisation, the device and contexts.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "hidet_core/emulator/driver/api.h"

namespace hidet::emu {
namespace {

constexpr int kDriverVersion = 13000;

struct Attribute {
  int number, value;
};

// The emulated device: the sizes of an H200.
constexpr Attribute kAttributes[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
    {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1980000},
    {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 132},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 0},
    {CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, 0},
    {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 3201000},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 6144},
    {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 62914560},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 3},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, 0},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 233472},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
     static_cast<int>(SharedMemory::kCapacity)},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 32},
    {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
};

void RequireDevice(CUdevice device) {
  if (device != 0) {
    throw Fault{CUDA_ERROR_INVALID_DEVICE, Format("device %d: there is only device 0", device)};
  }
}

CUresult CreateContext(CUcontext* context, CUdevice device) {
  return Enter(Needs::kInit, [&](State& state) {
    RequireArgument(context, "context");
    RequireDevice(device);
    *context = state.contexts.Add(std::make_shared<Context>(Context{false}));
    ContextStack().push_back(*context);
  });
}

}  // namespace

std::string& LastError() {
  static thread_local std::string text;
  return text;
}

std::vector<CUcontext>& ContextStack() {
  static thread_local std::vector<CUcontext> stack;
  return stack;
}

void CheckEntry(Driver& driver, Needs needs) {
  if (needs == Needs::kNothing) return;
  State& state = driver.state();
  if (state.machine.in_host_function) {
    throw Fault{CUDA_ERROR_NOT_PERMITTED, "a host function in a stream calls the CUDA API"};
  }
  if (!state.initialised) throw Fault{CUDA_ERROR_NOT_INITIALIZED, "cuInit was not called"};
  if (needs == Needs::kInit) return;
  const auto& stack = ContextStack();
  const auto& contexts = state.contexts.all();
  if (stack.empty() || contexts.count(reinterpret_cast<Context*>(stack.back())) == 0) {
    throw Fault{CUDA_ERROR_INVALID_CONTEXT, "the thread has no current context"};
  }
  if (state.poison.has_value()) throw Fault{*state.poison};
}

CUresult Report(const Fault& fault) {
  LastError() = fault.text;
  return fault.code;
}

void ReportAtExit() {
  Driver& driver = Driver::Get();
  const std::lock_guard<std::recursive_mutex> guard(driver.lock());
  std::fprintf(stderr, "hidet emulator: %zu objects alive at exit\n", driver.state().CountLive());
}

HIDET_EMU_API cuInit(unsigned flags) {
  return Enter(Needs::kNothing, [&](State& state) {
    if (flags != 0) throw Fault{CUDA_ERROR_INVALID_VALUE, "cuInit: flags must be 0"};
    const char* seed = std::getenv("HIDET_EMULATOR_SEED");
    if (seed != nullptr && *seed != '\0' && state.CountLive() == 0) {
      state.machine.seed = static_cast<uint32_t>(std::strtoul(seed, nullptr, 10));
    }
    static const bool reports = std::getenv("HIDET_EMULATOR_REPORT") != nullptr &&
                                std::atexit(ReportAtExit) == 0;
    (void)reports;
    state.initialised = true;
  });
}

HIDET_EMU_API cuDriverGetVersion(int* version) {
  return Enter(Needs::kNothing, [&](State&) {
    RequireArgument(version, "version");
    *version = kDriverVersion;
  });
}

HIDET_EMU_API cuDeviceGetCount(int* count) {
  return Enter(Needs::kInit, [&](State&) {
    RequireArgument(count, "count");
    *count = 1;
  });
}

HIDET_EMU_API cuDeviceGet(CUdevice* device, int ordinal) {
  return Enter(Needs::kInit, [&](State&) {
    RequireArgument(device, "device");
    RequireDevice(ordinal);
    *device = ordinal;
  });
}

HIDET_EMU_API cuDeviceGetName(char* name, int bytes, CUdevice device) {
  return Enter(Needs::kInit, [&](State&) {
    RequireArgument(name, "name");
    RequireDevice(device);
    if (bytes <= 0) throw Fault{CUDA_ERROR_INVALID_VALUE, "no room for the name"};
    std::snprintf(name, static_cast<size_t>(bytes), "%s", "HidetEP emulated GPU");
  });
}

HIDET_EMU_API cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return Enter(Needs::kInit, [&](State&) {
    RequireArgument(uuid, "uuid");
    RequireDevice(device);
    std::memcpy(uuid->bytes, "hidet-emulated-0", sizeof(uuid->bytes));
  });
}

HIDET_EMU_API cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  return Enter(Needs::kInit, [&](State& state) {
    RequireArgument(bytes, "bytes");
    RequireDevice(device);
    *bytes = state.memory.capacity();
  });
}

HIDET_EMU_API cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  return Enter(Needs::kInit, [&](State&) {
    RequireArgument(value, "value");
    RequireDevice(device);
    for (const Attribute& row : kAttributes) {
      if (row.number != attribute) continue;
      *value = row.value;
      return;
    }
    throw Fault{CUDA_ERROR_INVALID_VALUE,
                Format("the emulated device has no attribute %d", attribute)};
  });
}

HIDET_EMU_API cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  return Enter(Needs::kInit, [&](State& state) {
    RequireArgument(context, "context");
    RequireDevice(device);
    if (state.primary_count++ == 0) {
      state.primary = std::make_shared<Context>(Context{true});
      state.contexts.Add(state.primary);
    }
    *context = reinterpret_cast<CUcontext>(state.primary.get());
  });
}

HIDET_EMU_API cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return Enter(Needs::kInit, [&](State& state) {
    RequireDevice(device);
    if (state.primary_count == 0) {
      throw Fault{CUDA_ERROR_INVALID_CONTEXT, "the primary context is not retained"};
    }
    if (--state.primary_count > 0) return;
    state.contexts.Remove(reinterpret_cast<CUcontext>(state.primary.get()));
    state.primary.reset();
  });
}

HIDET_EMU_API cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  return Enter(Needs::kInit, [&](State& state) {
    RequireDevice(device);
    RequireArgument(flags, "flags");
    RequireArgument(active, "active");
    *flags = 0;
    *active = state.primary != nullptr ? 1 : 0;
  });
}

HIDET_EMU_API cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned) {
  return Enter(Needs::kInit, [&](State&) { RequireDevice(device); });
}

HIDET_EMU_API cuCtxCreate_v2(CUcontext* context, unsigned, CUdevice device) {
  return CreateContext(context, device);
}

HIDET_EMU_API cuCtxCreate_v4(CUcontext* context, CUctxCreateParams*, unsigned, CUdevice device) {
  return CreateContext(context, device);
}

HIDET_EMU_API cuCtxDestroy_v2(CUcontext context) {
  return Enter(Needs::kInit, [&](State& state) {
    if (state.contexts.Get(context)->primary) {
      throw Fault{CUDA_ERROR_INVALID_CONTEXT, "the primary context is released, not destroyed"};
    }
    if (!ContextStack().empty() && ContextStack().back() == context) ContextStack().pop_back();
    state.contexts.Remove(context);
  });
}

HIDET_EMU_API cuCtxSetCurrent(CUcontext context) {
  return Enter(Needs::kInit, [&](State& state) {
    auto& stack = ContextStack();
    if (context != nullptr) state.contexts.Get(context);
    if (!stack.empty()) stack.pop_back();
    if (context != nullptr) stack.push_back(context);
  });
}

HIDET_EMU_API cuCtxGetCurrent(CUcontext* context) {
  return Enter(Needs::kInit, [&](State&) {
    RequireArgument(context, "context");
    *context = ContextStack().empty() ? nullptr : ContextStack().back();
  });
}

HIDET_EMU_API cuCtxPushCurrent_v2(CUcontext context) {
  return Enter(Needs::kInit, [&](State& state) {
    state.contexts.Get(context);
    ContextStack().push_back(context);
  });
}

// After an error of a kernel too: threads give back what they found.
HIDET_EMU_API cuCtxPopCurrent_v2(CUcontext* context) {
  return Enter(Needs::kInit, [&](State&) {
    if (ContextStack().empty()) {
      throw Fault{CUDA_ERROR_INVALID_CONTEXT, "the thread has no current context"};
    }
    if (context != nullptr) *context = ContextStack().back();
    ContextStack().pop_back();
  });
}

HIDET_EMU_API cuCtxGetDevice(CUdevice* device) {
  return Enter([&](State&) {
    RequireArgument(device, "device");
    *device = 0;
  });
}

HIDET_EMU_API cuCtxSynchronize() {
  return Enter([&](State& state) {
    state.RequireNoCapture("cuCtxSynchronize");
    state.queues.WaitAll();
  });
}

HIDET_EMU_API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  return Enter([&](State&) {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = 0;
  });
}

}  // namespace hidet::emu
