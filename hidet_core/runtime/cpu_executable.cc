// An executable on the CPU: its frames call kernels with the caller's threads.
#include "hidet_core/runtime/executable_impl.h"
#include "hidet_core/runtime/frame.h"
#include "hidet_core/runtime/loaded_plan.h"

namespace hidet {

std::unique_ptr<Executable::Impl> LoadForCpu(PlanData plan, const ConstantView* constants,
                                             size_t constant_count) {
  using CpuExecutable = PooledExecutable<LoadedPlan, Frame>;
  return std::make_unique<CpuExecutable>(std::move(plan), constants, constant_count);
}

}  // namespace hidet
