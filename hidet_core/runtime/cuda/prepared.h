// The launches of a plan for one set of sizes, ready to go: arguments, places in the arena, and,
// once they come back, a CUDA graph.
//
// Ownership: owns the graph, borrows the LoadedPlan; must not go while its work runs. Threading:
// one thread at a time, with the device's context current (Device::Scope).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hidet_core/runtime/binding.h"
#include "hidet_core/runtime/cuda/dependencies.h"
#include "hidet_core/runtime/cuda/loaded_plan.h"
#include "hidet_core/runtime/cuda/tensor_maps.h"
#include "hidet_core/runtime/planner.h"

namespace hidet::cuda {

// Per tensor of the caller (inputs, then outputs): whether kernels use a copy of it in the arena,
// since it lies in memory of the host or is not aligned as they need it.
using StagedTensors = std::vector<uint8_t>;

class Prepared {
 public:
  // For the sizes that `binding` holds.
  Prepared(const LoadedPlan& loaded, const Binding& binding, const StagedTensors& staged);
  ~Prepared();
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;

  bool Fits(const std::vector<int64_t>& symbols, const StagedTensors& staged) const {
    return symbols == symbols_ && staged == staged_;
  }

  size_t arena_bytes() const { return arena_bytes_; }
  // At its beginning; zero before the first launch, and left so where it has to be.
  size_t zero_bytes() const { return zero_bytes_; }
  // Of a staged input (or output: count of inputs + index) in the arena; -1: no kernel uses it.
  int64_t staged_offset(size_t tensor) const { return staged_offsets_[tensor]; }

  // Makes pointers of places. Needed once before the first launch.
  void PlaceArena(uint8_t* arena);

  // Takes over the addresses of the caller's tensors; tensor maps follow. After PlaceArena.
  void PatchCallers(const Binding& binding);

  size_t launches() const { return steps_.size(); }
  const LaunchSpec& spec(size_t launch) const { return *steps_[launch].spec; }
  int64_t tasks(size_t launch) const { return steps_[launch].grid; }
  void Launch(size_t launch, CUstream stream);

  // All launches in one graph, which is made the first time.
  void LaunchGraph(CUstream stream);

  uint64_t uses = 0;  // runs with it so far
  uint64_t last_use = 0;

 private:
  struct Step {
    const LaunchSpec* spec;
    const KernelSpec* kernel;
    CUfunction function;
    unsigned grid;
    size_t first;     // of its parameters
    bool is_changed;  // since the graph's node got its parameters
  };
  // A parameter that points into a tensor of the caller.
  struct Patch {
    size_t parameter;
    size_t step;
    const BufferSpec* buffer;
    int64_t offset;
  };
  // A parameter that points into the arena.
  struct ArenaPointer {
    size_t parameter;
    int64_t offset;
  };

  void PlanArena(const Binding& binding);
  void PlaceBuffers(const Binding& binding);
  BufferPairs FindBuffersUsedTogether(const Binding& binding) const;
  void AddTensor(size_t tensor, BufferKind kind, uint32_t index, int64_t bytes);
  void AddStep(const Binding& binding, const LaunchSpec& launch, int64_t tasks);
  void AddArgument(const Binding& binding, const LaunchSpec& launch, const ArgumentSpec& arg);
  bool IsStaged(const BufferSpec& buffer) const;
  size_t Tensor(const BufferSpec& buffer) const;
  CUDA_KERNEL_NODE_PARAMS NodeParameters(const Step& step);
  void MakeGraph();
  void AddNodes();
  void AddNode(Step& step, const std::vector<uint32_t>& before);

  const LoadedPlan& loaded_;
  const PlanData& plan_;
  std::vector<int64_t> symbols_;
  StagedTensors staged_;
  size_t arena_bytes_ = 0;
  size_t zero_bytes_ = 0;
  std::vector<PlannedBuffer> planned_;  // of the plan's buffers, then of the caller's tensors
  std::vector<int64_t> staged_offsets_;
  std::vector<Step> steps_;            // of the launches that have tasks
  std::vector<uint64_t> parameters_;   // of all steps, one after the other
  TensorMaps maps_;                    // that parameters are given as instead of pointers
  std::vector<void*> addresses_;       // of the parameters, as cuLaunchKernel takes them
  std::vector<Patch> patches_;
  std::vector<ArenaPointer> arena_pointers_;
  std::vector<std::vector<Access>> accesses_;  // of each step
  CUgraph graph_ = nullptr;
  CUgraphExec executable_ = nullptr;
  std::vector<CUgraphNode> nodes_;
};

}  // namespace hidet::cuda
