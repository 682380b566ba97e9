// A parsed plan for a GPU with its modules loaded and its constants on the device: what all runs
// share.
//
// Ownership: owns modules and constants, holds the memory pool and with it the device. Threading:
// immutable after construction.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hidet_core/runtime/cuda/memory_pool.h"
#include "hidet_core/runtime/executable.h"
#include "hidet_core/runtime/plan.h"

namespace hidet::cuda {

class LoadedPlan {
 public:
  // Throws Error(kInvalidPlan) for constants that do not fit the plan, kFail for what the driver
  // refuses.
  LoadedPlan(PlanData plan, const ConstantView* constants, size_t constant_count,
             const DeviceOptions& options);
  ~LoadedPlan();
  LoadedPlan(const LoadedPlan&) = delete;
  LoadedPlan& operator=(const LoadedPlan&) = delete;

  const PlanData& data() const { return data_; }
  Device& device() const { return *memory_->device(); }
  MemoryPool& memory() const { return *memory_; }
  CUfunction function(uint32_t kernel) const { return functions_[kernel]; }
  uint8_t* constant(uint32_t index) const { return constants_ + layout_.offsets[index]; }
  size_t constant_bytes() const { return layout_.bytes; }

  CUstream stream() const { return stream_; }  // of the caller, for all runs; may be null
  bool use_graph() const { return use_graph_; }
  // Whether to wait after each launch, so that an error names it (HIDET_CUDA_SYNC=1).
  bool is_synchronous() const { return is_synchronous_; }

 private:
  void LoadModules();
  void LoadFunctions();
  void UploadConstants(const ConstantView* constants);
  void Release() noexcept;

  PlanData data_;
  std::shared_ptr<MemoryPool> memory_;
  CUstream stream_;
  bool use_graph_;
  bool is_synchronous_;
  std::vector<CUmodule> modules_;  // one per image
  std::vector<CUfunction> functions_;
  ConstantLayout layout_;
  uint8_t* constants_ = nullptr;
};

}  // namespace hidet::cuda
