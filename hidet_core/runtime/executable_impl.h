// What an executable is on one kind of device.
//
// Threading: as Executable.
#pragma once

#include <memory>
#include <vector>

#include "hidet_core/runtime/executable.h"
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

// The images of the plan point into bytes that may go after the call.
std::unique_ptr<Executable::Impl> LoadForCpu(PlanData plan, const ConstantView* constants,
                                             size_t constant_count);

namespace cuda {
std::unique_ptr<Executable::Impl> LoadForCuda(PlanData plan, const ConstantView* constants,
                                              size_t constant_count, const DeviceOptions& options);
}  // namespace cuda

}  // namespace hidet
