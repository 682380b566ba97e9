// An executable on a GPU: a pool of frames, each with a stream.
#include <utility>

#include "hidet_core/runtime/cuda/frame.h"
#include "hidet_core/runtime/cuda/loaded_plan.h"
#include "hidet_core/runtime/executable_impl.h"
#include "hidet_core/runtime/frame_pool.h"

namespace hidet::cuda {
namespace {

class CudaExecutable : public Executable::Impl {
 public:
  CudaExecutable(PlanData plan, const ConstantView* constants, size_t constant_count,
                 const DeviceOptions& options)
      : loaded_(std::move(plan), constants, constant_count, options),
        pool_([this] { return std::make_unique<Frame>(loaded_); }) {
    // a static plan with impossible sizes fails here, not at run time
    const FramePool<Frame>::Lease first(pool_);
  }

  void Run(RunContext& context, std::vector<LaunchRecord>* records) override {
    const FramePool<Frame>::Lease frame(pool_);
    frame->Run(context, records);
  }

  const PlanData& plan() const override { return loaded_.data(); }
  size_t constant_bytes() const override { return loaded_.constant_bytes(); }
  size_t arena_bytes() const override { return pool_.arena_bytes(); }

 private:
  LoadedPlan loaded_;
  FramePool<Frame> pool_;
};

}  // namespace

std::unique_ptr<Executable::Impl> LoadForCuda(PlanData plan, const ConstantView* constants,
                                              size_t constant_count,
                                              const DeviceOptions& options) {
  return std::make_unique<CudaExecutable>(std::move(plan), constants, constant_count, options);
}

}  // namespace hidet::cuda
