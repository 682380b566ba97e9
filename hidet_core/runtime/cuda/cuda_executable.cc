// An executable on a GPU.
#include "hidet_core/runtime/executable_impl.h"

namespace hidet::cuda {

std::unique_ptr<Executable::Impl> LoadForCuda(PlanData plan, const ConstantView*, size_t,
                                              const DeviceOptions&) {
  Fail(ErrorCode::kFail, "plan '%s' is for CUDA: this runtime does not run such plans yet",
       plan.name.c_str());
}

}  // namespace hidet::cuda
