// Allocation, copies and fills.
#include <cstring>

#include "hidet_core/emulator/driver/api.h"

namespace hidet::emu {
namespace {

enum class Timing { kNow, kInStream };

bool IsPageable(const State& state, uintptr_t address) {
  return state.memory.Find(address) == nullptr;
}

// Pageable sources are read before the call returns, pageable destinations are written before it
// returns, as the driver does; while capturing, the graph keeps the addresses.
CUresult CopyBytes(uintptr_t to, uintptr_t from, size_t bytes, CUstream handle, Timing timing) {
  return Enter([&](State& state) {
    if (timing == Timing::kNow) state.RequireNoCapture("a synchronous copy");
    Stream& stream = *state.StreamOf(handle);
    if (bytes == 0) return;
    Copy copy{Linear(to), Linear(from), {bytes, 1, 1}, nullptr};
    const bool captured = stream.capture != nullptr;
    if (!captured && timing == Timing::kInStream && IsPageable(state, from)) {
      const auto* data = reinterpret_cast<const char*>(from);
      copy.staged = std::make_shared<std::vector<char>>(data, data + bytes);
      copy.from = Linear(reinterpret_cast<uintptr_t>(copy.staged->data()));
    }
    state.Submit(handle, copy);
    if (timing == Timing::kNow || (!captured && IsPageable(state, to))) {
      state.queues.Wait(stream.tail);
    }
  });
}

// What a function's name promises to be device memory must be an allocation.
CUresult CheckDevice(CUdeviceptr address, size_t bytes) {
  return Enter([&](State& state) {
    if (bytes > 0) state.memory.Require(address, bytes, "copy", CUDA_ERROR_INVALID_VALUE);
  });
}

CUresult CheckHost(const void* address, size_t bytes) {
  return Enter([&](State&) {
    if (bytes > 0) RequireArgument(address, "host");
  });
}

uintptr_t Address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

CUresult FillElements(CUdeviceptr to, uint32_t value, unsigned element_bytes, size_t count,
                      CUstream stream, Timing timing) {
  return Enter([&](State& state) {
    if (timing == Timing::kNow) state.RequireNoCapture("a synchronous fill");
    if (to % element_bytes != 0) {
      throw Fault{CUDA_ERROR_INVALID_VALUE,
                  Format("fill at %#zx, which is no multiple of %u", static_cast<size_t>(to),
                         element_bytes)};
    }
    if (count == 0) return;
    state.Submit(stream, Fill{Linear(to), {count * element_bytes, 1, 1}, value, element_bytes});
    if (timing == Timing::kNow) state.queues.Wait(state.StreamOf(stream)->tail);
  });
}

CUresult AllocateHost(void** pointer, size_t bytes) {
  return Enter([&](State& state) {
    RequireArgument(pointer, "pointer");
    *pointer = reinterpret_cast<void*>(state.memory.Allocate(bytes, true));
  });
}

CUresult AllocateDevice(CUdeviceptr* pointer, size_t bytes, const char* call) {
  return Enter([&](State& state) {
    RequireArgument(pointer, "pointer");
    state.RequireNoCapture(call);
    *pointer = state.memory.Allocate(bytes, false);
  });
}

}  // namespace

HIDET_EMU_API cuMemGetInfo_v2(size_t* free, size_t* total) {
  return Enter([&](State& state) {
    RequireArgument(free, "free");
    RequireArgument(total, "total");
    *total = state.memory.capacity();
    *free = *total - state.memory.used();
  });
}

HIDET_EMU_API cuMemAlloc_v2(CUdeviceptr* pointer, size_t bytes) {
  return AllocateDevice(pointer, bytes, "cuMemAlloc");
}

HIDET_EMU_API cuMemFree_v2(CUdeviceptr pointer) {
  return Enter([&](State& state) {
    if (pointer == 0) return;
    state.RequireNoCapture("cuMemFree");
    state.queues.WaitAll();
    const Allocation* allocation = state.memory.Find(pointer);
    if (allocation != nullptr) state.shadow.Forget(pointer, allocation->bytes);
    state.memory.Free(pointer, false);
  });
}

HIDET_EMU_API cuMemAllocHost_v2(void** pointer, size_t bytes) {
  return AllocateHost(pointer, bytes);
}

HIDET_EMU_API cuMemHostAlloc(void** pointer, size_t bytes, unsigned) {
  return AllocateHost(pointer, bytes);
}

HIDET_EMU_API cuMemFreeHost(void* pointer) {
  return Enter([&](State& state) {
    state.queues.WaitAll();
    state.memory.Free(Address(pointer), true);
  });
}

HIDET_EMU_API cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned) {
  return Enter([&](State& state) { state.memory.Register(Address(pointer), bytes, true); });
}

HIDET_EMU_API cuMemHostUnregister(void* pointer) {
  return Enter([&](State& state) {
    state.queues.WaitAll();
    state.memory.Unregister(Address(pointer));
  });
}

HIDET_EMU_API cuMemHostGetDevicePointer_v2(CUdeviceptr* device, void* host, unsigned) {
  return Enter([&](State& state) {
    RequireArgument(device, "device");
    if (!state.memory.Require(Address(host), 1, "mapping", CUDA_ERROR_INVALID_VALUE).pinned) {
      throw Fault{CUDA_ERROR_INVALID_VALUE, "this is memory of the device"};
    }
    *device = Address(host);
  });
}

HIDET_EMU_API cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr pointer) {
  return Enter([&](State& state) {
    const Allocation& found =
        state.memory.Require(pointer, 1, "look-up", CUDA_ERROR_NOT_FOUND);
    if (base != nullptr) *base = found.address;
    if (bytes != nullptr) *bytes = found.bytes;
  });
}

HIDET_EMU_API cuPointerGetAttribute(void* value, CUpointer_attribute attribute,
                                    CUdeviceptr pointer) {
  return Enter([&](State& state) {
    RequireArgument(value, "value");
    const Allocation& found =
        state.memory.Require(pointer, 1, "look-up", CUDA_ERROR_INVALID_VALUE);
    if (attribute == CU_POINTER_ATTRIBUTE_MEMORY_TYPE) {
      *static_cast<unsigned*>(value) = found.pinned ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    } else if (attribute == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL) {
      *static_cast<int*>(value) = 0;
    } else {
      throw Fault{CUDA_ERROR_INVALID_VALUE, Format("pointer attribute %d", attribute)};
    }
  });
}

HIDET_EMU_API cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return CopyBytes(to, from, bytes, nullptr, Timing::kNow);
}

HIDET_EMU_API cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return CopyBytes(to, from, bytes, stream, Timing::kInStream);
}

HIDET_EMU_API cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  CUresult result = CheckDevice(to, bytes);
  if (result == CUDA_SUCCESS) result = CheckHost(from, bytes);
  return result != CUDA_SUCCESS ? result
                                : CopyBytes(to, Address(from), bytes, nullptr, Timing::kNow);
}

HIDET_EMU_API cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  CUresult result = CheckDevice(from, bytes);
  if (result == CUDA_SUCCESS) result = CheckHost(to, bytes);
  return result != CUDA_SUCCESS ? result
                                : CopyBytes(Address(to), from, bytes, nullptr, Timing::kNow);
}

// The host does not wait for a copy within the device.
HIDET_EMU_API cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  CUresult result = CheckDevice(to, bytes);
  if (result == CUDA_SUCCESS) result = CheckDevice(from, bytes);
  return result != CUDA_SUCCESS ? result : CopyBytes(to, from, bytes, nullptr, Timing::kInStream);
}

HIDET_EMU_API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes,
                                   CUstream stream) {
  CUresult result = CheckDevice(to, bytes);
  if (result == CUDA_SUCCESS) result = CheckHost(from, bytes);
  return result != CUDA_SUCCESS ? result
                                : CopyBytes(to, Address(from), bytes, stream, Timing::kInStream);
}

HIDET_EMU_API cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  CUresult result = CheckDevice(from, bytes);
  if (result == CUDA_SUCCESS) result = CheckHost(to, bytes);
  return result != CUDA_SUCCESS ? result
                                : CopyBytes(Address(to), from, bytes, stream, Timing::kInStream);
}

HIDET_EMU_API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                   CUstream stream) {
  CUresult result = CheckDevice(to, bytes);
  if (result == CUDA_SUCCESS) result = CheckDevice(from, bytes);
  return result != CUDA_SUCCESS ? result : CopyBytes(to, from, bytes, stream, Timing::kInStream);
}

HIDET_EMU_API cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return FillElements(to, value, 1, count, nullptr, Timing::kNow);
}

HIDET_EMU_API cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
  return FillElements(to, value, 2, count, nullptr, Timing::kNow);
}

HIDET_EMU_API cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return FillElements(to, value, 4, count, nullptr, Timing::kNow);
}

HIDET_EMU_API cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count,
                              CUstream stream) {
  return FillElements(to, value, 1, count, stream, Timing::kInStream);
}

HIDET_EMU_API cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count,
                               CUstream stream) {
  return FillElements(to, value, 2, count, stream, Timing::kInStream);
}

HIDET_EMU_API cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return FillElements(to, value, 4, count, stream, Timing::kInStream);
}

// ---- stream-ordered allocation; pools keep nothing, their attributes are only remembered

HIDET_EMU_API cuMemAllocAsync(CUdeviceptr* pointer, size_t bytes, CUstream stream) {
  return Enter([&](State& state) {
    RequireArgument(pointer, "pointer");
    if (state.StreamOf(stream)->capture != nullptr) {
      throw Fault{CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "the emulator captures no allocations"};
    }
    *pointer = state.memory.Allocate(bytes, false);
  });
}

HIDET_EMU_API cuMemAllocFromPoolAsync(CUdeviceptr* pointer, size_t bytes, CUmemoryPool pool,
                                      CUstream stream) {
  const CUresult result = Enter([&](State& state) { state.pools.Get(pool); });
  return result != CUDA_SUCCESS ? result : cuMemAllocAsync(pointer, bytes, stream);
}

HIDET_EMU_API cuMemFreeAsync(CUdeviceptr pointer, CUstream stream) {
  return Enter([&](State& state) {
    if (pointer == 0) return;
    const Allocation& found =
        state.memory.Require(pointer, 1, "free", CUDA_ERROR_INVALID_VALUE);
    if (found.address != pointer || found.pinned) {
      throw Fault{CUDA_ERROR_INVALID_VALUE, "free of what is no start of device memory"};
    }
    state.Submit(stream, FreeMemory{static_cast<uintptr_t>(pointer)});
  });
}

HIDET_EMU_API cuDeviceGetDefaultMemPool(CUmemoryPool* pool, CUdevice) {
  return Enter(Needs::kInit, [&](State& state) {
    RequireArgument(pool, "pool");
    *pool = reinterpret_cast<CUmemoryPool>(state.default_pool.get());
  });
}

HIDET_EMU_API cuMemPoolTrimTo(CUmemoryPool pool, size_t) {
  return Enter([&](State& state) { state.pools.Get(pool); });
}

HIDET_EMU_API cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute,
                                    void* value) {
  return Enter([&](State& state) {
    RequireArgument(value, "value");
    if (attribute != CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) {
      throw Fault{CUDA_ERROR_INVALID_VALUE, Format("pool attribute %d", attribute)};
    }
    state.pools.Get(pool)->release_threshold = *static_cast<uint64_t*>(value);
  });
}

HIDET_EMU_API cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute,
                                    void* value) {
  return Enter([&](State& state) {
    RequireArgument(value, "value");
    const uint64_t threshold = state.pools.Get(pool)->release_threshold;
    const bool asked = attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    if (!asked && attribute != CU_MEMPOOL_ATTR_USED_MEM_CURRENT &&
        attribute != CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) {
      throw Fault{CUDA_ERROR_INVALID_VALUE, Format("pool attribute %d", attribute)};
    }
    *static_cast<uint64_t*>(value) = asked ? threshold : state.memory.used();
  });
}

}  // namespace hidet::emu
