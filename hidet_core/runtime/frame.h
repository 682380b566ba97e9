// The state of one run at a time: symbol values, arena and ready-made kernel calls.
//
// A run binds the symbols from the input shapes. If their values are those of the last run, all
// that is left to do is to patch the pointers of inputs and outputs and to call the kernels;
// otherwise Prepare evaluates every expression, plans the arena, zeroes the halo buffers and makes
// the calls. Ownership: owns its arena, borrows the LoadedPlan. Threading: one thread at a time. No
// method allocates after the first run with the largest shapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hidet_core/runtime/loaded_plan.h"
#include "hidet_core/runtime/pages.h"
#include "hidet_core/runtime/planner.h"
#include "hidet_core/runtime/run_context.h"
#include "hidet_core/runtime/team.h"

namespace hidet {

class Frame {
 public:
  // Prepares at once a plan without symbols.
  explicit Frame(const LoadedPlan& loaded);

  // The whole run. With `records`, appends one record per launch that had tasks.
  void Run(RunContext& context, std::vector<LaunchRecord>* records);

  size_t arena_bytes() const { return arena_.bytes(); }

 private:
  // A kernel argument that changes from run to run, since it points into a tensor of the caller.
  struct Patch {
    size_t slot;  // in args_
    const ArgumentSpec* arg;
    int64_t offset;
  };

  void BindInputs(RunContext& context);
  void CheckRankAndType(size_t input) const;
  void CheckDims(size_t input) const;
  bool BindSymbols();
  void BindOutputs(RunContext& context);
  void PatchArguments();
  void Record(int64_t begin_ns, std::vector<LaunchRecord>& records) const;

  void Prepare();
  void EvaluateTensors(const std::vector<TensorSpec>& specs, std::vector<int64_t>& bytes);
  void PlanArena();
  void CheckCallerBuffer(const BufferSpec& buffer) const;
  void MakeCalls();
  void SetArgument(const ArgumentSpec& arg, size_t slot, const LaunchSpec& launch);

  const LoadedPlan& loaded_;
  const PlanData& plan_;
  Pages arena_;
  MemoryPlanner planner_;
  bool ready_ = false;                  // whether what follows fits symbols_
  size_t threads_ = 0;                  // between which team_ splits the calls
  std::vector<int64_t> symbols_;        // values
  std::vector<int64_t> values_;         // of expressions
  std::vector<PlannedBuffer> planned_;  // one per buffer; of size 0 unless temporary
  std::vector<int64_t> input_bytes_;
  std::vector<int64_t> output_bytes_;
  std::vector<int64_t> output_dims_;  // of all outputs, one after the other
  std::vector<void*> args_;           // of all launches, one after the other
  std::vector<int64_t> scalars_;      // likewise
  std::vector<Patch> patches_;
  std::vector<KernelCall> calls_;             // of the launches that have tasks
  std::vector<const LaunchSpec*> launches_;  // likewise
  Team team_;
  std::vector<TensorView> inputs_;  // of this run
  std::vector<void*> outputs_;
};

}  // namespace hidet
