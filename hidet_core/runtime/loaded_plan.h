// A parsed plan for a CPU with its kernels loaded and its constants in place: what all runs share.
//
// Ownership: owns code and constants. Threading: immutable after construction.
#pragma once

#include <vector>

#include "hidet_core/runtime/constants.h"
#include "hidet_core/runtime/launch.h"
#include "hidet_core/runtime/module.h"
#include "hidet_core/runtime/pages.h"
#include "hidet_core/runtime/plan.h"

namespace hidet {

class LoadedPlan {
 public:
  // Copies the constants. Throws Error(kInvalidPlan) if they do not fit the plan.
  LoadedPlan(PlanData plan, const ConstantView* constants, size_t constant_count);

  const PlanData& data() const { return data_; }
  KernelFunction function(uint32_t kernel) const { return functions_[kernel]; }
  uint8_t* constant(uint32_t index) const { return constants_[index]; }
  size_t constant_bytes() const { return memory_.bytes(); }

 private:
  void LoadKernels();

  PlanData data_;
  std::vector<Module> modules_;  // one per image
  std::vector<KernelFunction> functions_;
  Pages memory_;
  std::vector<uint8_t*> constants_;
};

}  // namespace hidet
