// The border between a kernel image and the emulated driver that runs it.
//
// An image is a shared object of one generated CUDA source, compiled by g++ against
// hidet_emu_device.h. It links nothing of the driver: when it is loaded, the driver calls its
// `hidet_emu_attach` with a DeviceTable and reads the kernels from the ImageInfo that comes back.
// Ownership: the table outlives the image; ImageInfo lives as long as the image is loaded.
// Threading: the functions of the table are called by device threads (fibers) only, all of which
// run on the one thread of the operating system that executes the launch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hidet_emu {

inline constexpr uint32_t kAbiVersion = 3;

// Atomics (and volatile accesses, which CUDA's memory model calls relaxed) do not race with each
// other; kAtomic reads and writes.
enum AccessKind : uint32_t { kRead = 0, kWrite = 1, kAtomic = 2, kAtomicRead = 3 };

struct Index3 {
  unsigned x, y, z;
};

// Where a device thread is; constant for its lifetime.
struct Coordinates {
  Index3 thread, block, block_size, grid_size;
};

// An operation that the lanes in `mask` of a warp do together. The last lane to arrive calls
// `compute` with the operands of every lane of the warp (null for lanes that do not take part).
struct Collective {
  const char* name;
  int line;
  uint32_t mask;
  const void* in;
  void* out;
  void (*compute)(const Collective& call, const void* const* in, void* const* out);
  uint64_t argument;   // for compute; must be equal in all lanes
  bool orders_memory;  // __syncwarp does, shuffles and votes do not
};

enum TrapKind : uint32_t { kTrap = 0, kAssert = 1, kBadOperand = 2 };

// A copy of a box between a tensor in global memory (a tensor map tells of it) and shared memory.
struct TensorCopy {
  const void* map;
  void* shared;
  uint64_t* mbarrier;  // that a load reports to
  int32_t place[5];    // of the box's first element, the contiguous dimension first
  unsigned rank;
};

enum MatrixType : uint32_t { kFloat16 = 0, kBfloat16 = 1, kTfloat32 = 2 };

// D[64, columns] (+)= A[64, k] B[k, columns] by the 128 threads of a warpgroup; both operands lie
// in shared memory, where matrix descriptors tell. k is 16, or 8 for tf32.
struct WarpgroupMma {
  MatrixType type;
  unsigned columns;
  uint64_t a, b;
  float* accumulators;  // this thread's, columns / 2
  bool accumulates;     // false: D = A B
  bool a_transposed, b_transposed;  // contiguous along rows (columns), not along k
  int line;
};

// What the asynchronous engines of compute capability 9.0 add.
struct AsyncTable {
  uint32_t (*shared_address)(const void* pointer);
  void (*barrier_arrive)(unsigned id, unsigned threads, int line);  // bar.arrive
  void (*mbarrier_init)(uint64_t* mbarrier, unsigned arrivals);
  void (*mbarrier_invalidate)(uint64_t* mbarrier);
  void (*mbarrier_fence)();  // fence.mbarrier_init
  void (*mbarrier_arrive)(uint64_t* mbarrier, unsigned arrivals, unsigned expected_bytes);
  bool (*mbarrier_test)(uint64_t* mbarrier, unsigned parity, bool waits);
  void (*proxy_fence)();  // fence.proxy.async
  void (*tensor_load)(const TensorCopy* copy);
  void (*tensor_store)(const TensorCopy* copy);
  void (*store_commit)();
  void (*store_wait)(unsigned pending_groups, bool only_reads);
  void (*mma_fence)();
  void (*mma_issue)(const WarpgroupMma* operation);
  void (*mma_commit)();
  void (*mma_wait)(unsigned pending_groups);
  void (*set_registers)(unsigned count, bool increases);
  void (*grid_wait)();    // griddepcontrol.wait
  void (*grid_launch)();  // griddepcontrol.launch_dependents
};

struct DeviceTable {
  uint32_t version;
  // Before the access; alignment is what the instruction demands. Does not return on a fault.
  void (*access)(const void* address, size_t bytes, AccessKind kind, size_t alignment,
                 const void* site);  // site: return address in the kernel, null if unknown
  const Coordinates* (*coordinates)();
  void (*barrier)(unsigned id, unsigned threads, int line);  // threads 0: the whole block
  void (*collective)(const Collective* call);
  void* (*shared_variable)(unsigned id, size_t bytes, size_t alignment);
  void* (*dynamic_shared)();
  void (*copy_async)(void* shared, const void* global, size_t bytes, size_t valid_bytes);
  void (*copy_commit)();
  void (*copy_wait)(unsigned pending_groups);
  void (*fence)();  // __threadfence
  void (*spin)();   // another thread may run here
  void (*trap)(TrapKind kind, const char* text);
  const AsyncTable* async;
};

struct KernelInfo {
  const char* name;
  void (*run)(void** parameters);
  const size_t* parameter_bytes;
  size_t parameters;
  unsigned max_threads;   // of __launch_bounds__; 0: not given
  size_t static_shared;   // bytes of the __shared__ variables written in the kernel
};

// A __device__ or __constant__ variable.
struct VariableInfo {
  const char* name;  // null behind the last one
  const void* address;
  size_t bytes;
};

struct ImageInfo {
  uint32_t version;
  const KernelInfo* kernels;
  size_t count;
  const VariableInfo* variables;
};

using AttachFunction = const ImageInfo* (*)(const DeviceTable* table);

}  // namespace hidet_emu
