// One fused node at run time: an Executable, and where its tensors are in the kernel context.
//
// Compute is entered by several threads at once and touches neither Python nor, once warm, the
// allocator. Lifetime: made in Compile, freed in ReleaseNodeComputeInfos.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ep/csrc/ort_api.h"
#include "ep/csrc/ort_callbacks.h"
#include "hidet_core/runtime/executable.h"

namespace hidet {

class NodeCompute : public ort::OrtNodeComputeInfo {
 public:
  // `inputs` and `outputs` name the fused node's; the executable's are found there by name.
  // device_id: of an executable for a GPU.
  NodeCompute(Api api, std::shared_ptr<const Executable> executable, int device_id,
              const std::vector<std::string>& inputs, const std::vector<std::string>& outputs);

 private:
  friend class KernelRun;

  bool OnGpu() const { return executable_->device() == DeviceKind::kCuda; }
  static ort::OrtStatus* OnCompute(ort::OrtNodeComputeInfo* self, void* state,
                                   ort::OrtKernelContext* context);

  Api api_;
  int device_id_;
  std::shared_ptr<const Executable> executable_;
  std::vector<size_t> input_index_;   // of the executable's input i in the kernel context
  std::vector<size_t> output_index_;  // of the executable's output i in the kernel context
  size_t threads_;
};

}  // namespace hidet
