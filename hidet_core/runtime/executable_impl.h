// What an executable is on one kind of device.
//
// Threading: as Executable.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "hidet_core/runtime/executable.h"
#include "hidet_core/runtime/frame_pool.h"
#include "hidet_core/runtime/plan.h"

namespace hidet {

class Executable::Impl {
 public:
  virtual ~Impl() = default;

  // The whole run. With `records`, appends one record per launch that had tasks.
  virtual void Run(RunContext& context, std::vector<LaunchRecord>* records) = 0;

  virtual const PlanData& plan() const = 0;
  virtual size_t constant_bytes() const = 0;
  virtual size_t arena_bytes() const = 0;
};

// A loaded plan and a pool of frames that run it. Plan: has data() and constant_bytes(); Frame: is
// made from a Plan, has Run() and what FramePool asks for.
template <typename Plan, typename Frame>
class PooledExecutable : public Executable::Impl {
 public:
  template <typename... Arguments>
  explicit PooledExecutable(Arguments&&... arguments)
      : loaded_(std::forward<Arguments>(arguments)...),
        pool_([this] { return std::make_unique<Frame>(loaded_); }) {
    // a static plan with impossible sizes fails here, not at run time
    const typename FramePool<Frame>::Lease first(pool_);
  }

  void Run(RunContext& context, std::vector<LaunchRecord>* records) override {
    const typename FramePool<Frame>::Lease frame(pool_);
    frame->Run(context, records);
  }

  const PlanData& plan() const override { return loaded_.data(); }
  size_t constant_bytes() const override { return loaded_.constant_bytes(); }
  size_t arena_bytes() const override { return pool_.arena_bytes(); }

 private:
  Plan loaded_;
  FramePool<Frame> pool_;
};

// The images of the plan point into bytes that may go after the call.
std::unique_ptr<Executable::Impl> LoadForCpu(PlanData plan, const ConstantView* constants,
                                             size_t constant_count);

namespace cuda {
std::unique_ptr<Executable::Impl> LoadForCuda(PlanData plan, const ConstantView* constants,
                                              size_t constant_count, const DeviceOptions& options);
}  // namespace cuda

}  // namespace hidet
