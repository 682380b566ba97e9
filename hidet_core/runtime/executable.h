// A plan ready to run on its device: kernels loaded, constants in place, arenas in a pool.
//
// Threading: immutable after Load; any number of threads may call Run at once, each run takes an
// arena of its own from the pool (which keeps as many as ever ran at the same time).
// Ownership: copies all it needs of the plan bytes and the constants, which may go after Load.
// Cost: a run with the shapes of an earlier run allocates nothing; with new shapes it evaluates the
// plan's expressions and plans the arena again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hidet_core/runtime/constants.h"
#include "hidet_core/runtime/error.h"
#include "hidet_core/runtime/run_context.h"

namespace hidet {

namespace cuda {
class MemoryPool;
}

// For plans for a GPU.
struct DeviceOptions {
  int device_id = 0;
  size_t memory_limit = SIZE_MAX;  // bytes of device memory for this executable
  bool use_graph = true;           // replay CUDA graphs
  void* stream = nullptr;          // CUstream of runs whose context has none
  // Where its memory comes from, device and limit included (those above are not used then).
  std::shared_ptr<cuda::MemoryPool> memory = nullptr;
};

struct TensorInfo {
  std::string name;
  DataType dtype;
  size_t rank;
};

// One kernel launch of a profiled run. `name` lives as long as the executable.
struct LaunchRecord {
  const char* name;
  int64_t tasks;
  size_t pieces;  // in which threads took its tasks
  int64_t nanoseconds;
};

class Executable {
 public:
  class Impl;  // one for each kind of device

  // Throws Error: kInvalidPlan for bytes that are no plan of this version or are damaged, or for
  // constants that do not fit it; kFail if the system or the device gives no memory, or if the
  // device's driver cannot be used.
  static std::unique_ptr<Executable> Load(const uint8_t* plan, size_t bytes,
                                          const ConstantView* constants, size_t constant_count,
                                          const DeviceOptions& options = {});
  ~Executable();
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;

  // Throws Error: kInvalidArgument if an input does not fit ("input 'x' axis 2: expected 224, got
  // 225"), kFail if the system gives no memory or a kernel failed. After an error the executable
  // remains usable, except that a kernel that failed on a GPU ends the use of the device by this
  // process.
  void Run(RunContext& context) const;

  // As Run, timing every launch that had tasks.
  std::vector<LaunchRecord> Profile(RunContext& context) const;

  DeviceKind device() const;
  const std::string& name() const;
  const std::vector<TensorInfo>& inputs() const { return inputs_; }
  const std::vector<TensorInfo>& outputs() const { return outputs_; }
  // Bytes of the constants, and of the arenas of runs that have ended, on the device.
  size_t constant_bytes() const;
  size_t arena_bytes() const;

 private:
  explicit Executable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  std::vector<TensorInfo> inputs_;
  std::vector<TensorInfo> outputs_;
};

}  // namespace hidet
