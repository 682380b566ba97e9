// An executable on a GPU: each of its frames has a stream.
#include "hidet_core/runtime/cuda/frame.h"
#include "hidet_core/runtime/cuda/loaded_plan.h"
#include "hidet_core/runtime/executable_impl.h"

namespace hidet::cuda {

std::unique_ptr<Executable::Impl> LoadForCuda(PlanData plan, const ConstantView* constants,
                                              size_t constant_count,
                                              const DeviceOptions& options) {
  using CudaExecutable = PooledExecutable<LoadedPlan, Frame>;
  return std::make_unique<CudaExecutable>(std::move(plan), constants, constant_count, options);
}

}  // namespace hidet::cuda
