// An executable on the CPU: a pool of frames that call kernels with the caller's threads.
#include <utility>

#include "hidet_core/runtime/executable_impl.h"
#include "hidet_core/runtime/frame.h"
#include "hidet_core/runtime/frame_pool.h"
#include "hidet_core/runtime/loaded_plan.h"

namespace hidet {
namespace {

class CpuExecutable : public Executable::Impl {
 public:
  CpuExecutable(PlanData plan, const ConstantView* constants, size_t constant_count)
      : loaded_(std::move(plan), constants, constant_count),
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

std::unique_ptr<Executable::Impl> LoadForCpu(PlanData plan, const ConstantView* constants,
                                             size_t constant_count) {
  return std::make_unique<CpuExecutable>(std::move(plan), constants, constant_count);
}

}  // namespace hidet
