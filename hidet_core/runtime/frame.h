// The state of one run at a time on a CPU: arena and ready-made kernel calls.
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

#include "hidet_core/runtime/binding.h"
#include "hidet_core/runtime/executable.h"
#include "hidet_core/runtime/loaded_plan.h"
#include "hidet_core/runtime/pages.h"
#include "hidet_core/runtime/planner.h"
#include "hidet_core/runtime/team.h"

namespace hidet {

class Frame {
 public:
  // Prepares at once a plan without symbols.
  explicit Frame(const LoadedPlan& loaded);

  // The whole run. With `records`, appends one record per launch that had tasks.
  void Run(RunContext& context, std::vector<LaunchRecord>* records);

  size_t arena_bytes() const { return arena_.bytes(); }
  bool is_retired() const { return false; }

 private:
  // A kernel argument that changes from run to run, since it points into a tensor of the caller.
  struct Patch {
    size_t slot;  // in args_
    const ArgumentSpec* arg;
    int64_t offset;
  };

  void PatchArguments();
  void Record(int64_t begin_ns, std::vector<LaunchRecord>& records) const;

  void Prepare();
  void PlanArena();
  void MakeCalls();
  void SetArgument(const ArgumentSpec& arg, size_t slot, const LaunchSpec& launch);

  const LoadedPlan& loaded_;
  const PlanData& plan_;
  Binding binding_;
  Pages arena_;
  MemoryPlanner planner_;
  bool ready_ = false;                  // whether what follows fits the symbols' values
  size_t threads_ = 0;                  // between which team_ splits the calls
  std::vector<PlannedBuffer> planned_;  // one per buffer; of size 0 unless temporary
  std::vector<void*> args_;             // of all launches, one after the other
  std::vector<int64_t> scalars_;        // likewise
  std::vector<Patch> patches_;
  std::vector<KernelCall> calls_;            // of the launches that have tasks
  std::vector<const LaunchSpec*> launches_;  // likewise
  Team team_;
};

}  // namespace hidet
