// Modules, functions and launches.
#include <algorithm>

#include "hidet_core/emulator/driver/api.h"
#include "hidet_core/emulator/driver/arguments.h"

namespace hidet::emu {
namespace {

constexpr size_t kBlocksPerProcessor = 32, kThreadsPerProcessor = 2048;
constexpr size_t kSharedPerProcessor = 228 * 1024, kReservedShared = 1024;

int MaxThreads(const Kernel& kernel) {
  return kernel.info->max_threads == 0 ? 1024 : static_cast<int>(kernel.info->max_threads);
}

void RequireKnown(const CUlaunchAttribute& attribute) {
  const auto& cluster = attribute.value.clusterDim;
  const bool one = cluster.x <= 1 && cluster.y <= 1 && cluster.z <= 1;
  switch (attribute.id) {
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION: return;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
      if (one) return;
      throw Fault{CUDA_ERROR_NOT_SUPPORTED, "the emulator has no clusters of blocks"};
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
      if (attribute.value.cooperative == 0) return;
      throw Fault{CUDA_ERROR_NOT_SUPPORTED, "the emulator runs one block after the other"};
  }
  throw Fault{CUDA_ERROR_NOT_SUPPORTED, Format("launch attribute %d", attribute.id)};
}

bool IsProgrammatic(const CUlaunchAttribute& attribute) {
  return attribute.id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION &&
         attribute.value.programmaticStreamSerializationAllowed != 0;
}

CUresult LoadModule(CUmodule* module, const void* image) {
  return Enter([&](State& state) {
    RequireArgument(module, "module");
    RequireArgument(image, "image");
    *module = state.modules.Add(Module::Load(image));
  });
}

}  // namespace

HIDET_EMU_API cuModuleLoad(CUmodule* module, const char* path) {
  return Enter([&](State& state) {
    RequireArgument(module, "module");
    RequireArgument(path, "path");
    *module = state.modules.Add(Module::LoadFile(path));
  });
}

HIDET_EMU_API cuModuleLoadData(CUmodule* module, const void* image) {
  return LoadModule(module, image);
}

HIDET_EMU_API cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, CUjit_option*,
                                 void**) {
  return LoadModule(module, image);
}

HIDET_EMU_API cuModuleUnload(CUmodule module) {
  return Enter([&](State& state) {
    const std::shared_ptr<Module> held = state.modules.Get(module);
    state.queues.WaitAll();
    std::vector<Kernel*> gone;
    for (const auto& [kernel, unused] : state.kernels.all()) {
      if (kernel->module == held) gone.push_back(kernel);
    }
    for (const auto* row = held->variables(); row->name != nullptr; ++row) {
      const auto place = reinterpret_cast<uintptr_t>(row->address);
      if (state.memory.Find(place) != nullptr) state.memory.Unregister(place);
    }
    for (Kernel* kernel : gone) state.kernels.Remove(reinterpret_cast<CUfunction>(kernel));
    state.modules.Remove(module);
  });
}

HIDET_EMU_API cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  return Enter([&](State& state) {
    RequireArgument(function, "function");
    RequireArgument(name, "name");
    *function = state.kernels.Add(state.modules.Get(module)->FindKernel(name));
  });
}

HIDET_EMU_API cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule module,
                                   const char* name) {
  return Enter([&](State& state) {
    RequireArgument(name, "name");
    const auto& variable = state.modules.Get(module)->FindVariable(name);
    const auto place = reinterpret_cast<uintptr_t>(variable.address);
    if (state.memory.Find(place) == nullptr) state.memory.Register(place, variable.bytes, false);
    if (address != nullptr) *address = place;
    if (bytes != nullptr) *bytes = variable.bytes;
  });
}

HIDET_EMU_API cuFuncGetAttribute(int* value, CUfunction_attribute attribute,
                                 CUfunction function) {
  return Enter([&](State& state) {
    RequireArgument(value, "value");
    const Kernel& kernel = *state.kernels.Get(function);
    switch (attribute) {
      case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = MaxThreads(kernel); return;
      case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *value = static_cast<int>(kernel.info->static_shared);
        return;
      case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = static_cast<int>(kernel.max_dynamic_shared);
        return;
      case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:  // g++ tells nothing of these
      case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
      case CU_FUNC_ATTRIBUTE_NUM_REGS:
      case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = 0; return;
    }
    throw Fault{CUDA_ERROR_INVALID_VALUE, Format("function attribute %d", attribute)};
  });
}

HIDET_EMU_API cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  return Enter([&](State& state) {
    Kernel& kernel = *state.kernels.Get(function);
    if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) return;
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) {
      throw Fault{CUDA_ERROR_INVALID_VALUE,
                  Format("function attribute %d cannot be set", attribute)};
    }
    const size_t limit = SharedMemory::kCapacity;
    const size_t room = limit - std::min(kernel.info->static_shared, limit);
    if (value < 0 || static_cast<size_t>(value) > room) {
      throw Fault{CUDA_ERROR_INVALID_VALUE,
                  Format("%d bytes of dynamic shared memory: kernel %s may ask for %zu", value,
                         kernel.info->name, room)};
    }
    kernel.max_dynamic_shared = static_cast<size_t>(value);
  });
}

HIDET_EMU_API cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
                             unsigned grid_z, unsigned block_x, unsigned block_y,
                             unsigned block_z, unsigned shared_bytes, CUstream stream,
                             void** parameters, void** extra) {
  return Enter([&](State& state) {
    state.Submit(stream, MakeLaunch(state, {function, {grid_x, grid_y, grid_z},
                                            {block_x, block_y, block_z}, shared_bytes, parameters,
                                            extra}));
  });
}

HIDET_EMU_API cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function,
                               void** parameters, void** extra) {
  return Enter([&](State& state) {
    RequireArgument(config, "config");
    bool programmatic = false;
    for (unsigned index = 0; index < config->numAttrs; ++index) {
      RequireKnown(config->attrs[index]);
      programmatic |= IsProgrammatic(config->attrs[index]);
    }
    state.Submit(config->hStream,
                 MakeLaunch(state, {function,
                                    {config->gridDimX, config->gridDimY, config->gridDimZ},
                                    {config->blockDimX, config->blockDimY, config->blockDimZ},
                                    config->sharedMemBytes, parameters, extra, programmatic}));
  });
}

// Threads and shared memory limit it; registers are not known.
HIDET_EMU_API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function,
                                                          int threads, size_t dynamic_shared) {
  return Enter([&](State& state) {
    RequireArgument(blocks, "blocks");
    const Kernel& kernel = *state.kernels.Get(function);
    if (threads <= 0) throw Fault{CUDA_ERROR_INVALID_VALUE, "threads must be positive"};
    const size_t rounded = (static_cast<size_t>(threads) + 31) / 32 * 32;
    const size_t shared = kernel.info->static_shared + dynamic_shared + kReservedShared;
    *blocks = static_cast<int>(std::min({kBlocksPerProcessor, kThreadsPerProcessor / rounded,
                                         kSharedPerProcessor / shared}));
    if (threads > MaxThreads(kernel)) *blocks = 0;
  });
}

}  // namespace hidet::emu
