// The execution provider of one session: which nodes it takes, and what runs them.
//
// GetCapability asks the bridge for compiled partitions (a trial compile: whatever fails stays with
// ONNX Runtime) and keeps them; Compile, which must not fail, only picks them up by node ids.
// On a GPU it also gives ONNX Runtime the session's allocator, streams and copy kernels. ONNX
// Runtime's protocol for the capture of graphs is not used: executables replay graphs of their own,
// per partition, which needs no fixed addresses and no session without nodes elsewhere.
// Threading: ONNX Runtime creates a session on one thread; runs go through NodeCompute alone.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ep/csrc/bridge.h"
#include "ep/csrc/device_memory.h"
#include "ep/csrc/gpus.h"
#include "ep/csrc/ort_api.h"
#include "ep/csrc/ort_callbacks.h"
#include "ep/csrc/tensor_copy.h"
#include "hidet_core/runtime/executable.h"

namespace hidet {

class NodeCompute;

class Provider : public ort::OrtEp {
 public:
  // gpus: of the factory, which lives longer.
  Provider(Api api, Logger logger, OptionMap options, Settings settings, const Gpus& gpus);

 private:
  // A partition's identity in both callbacks: sorted node ids, sorted names of its outputs. (Ids
  // alone may repeat: each body of an If or Loop counts its own.)
  using Key = std::pair<std::vector<size_t>, std::vector<std::string>>;

  void RunOnGpu();
  DeviceOptions LoadOptions();
  std::unique_ptr<DeviceAllocator> NewAllocator(const ort::OrtMemoryInfo& info);

  void Claim(const ort::OrtGraph& graph, ort::OrtEpGraphSupportInfo& info);
  std::unique_ptr<NodeCompute> Build(const ort::OrtGraph& graph,
                                                 const ort::OrtNode& fused_node);

  static ort::OrtStatus* OnGetCapability(ort::OrtEp* self, const ort::OrtGraph* graph,
                                         ort::OrtEpGraphSupportInfo* info);
  static ort::OrtStatus* OnCreateAllocator(ort::OrtEp* self, const ort::OrtMemoryInfo* info,
                                           ort::OrtAllocator** allocator);
  static ort::OrtStatus* OnCreateStream(ort::OrtEp* self, const ort::OrtMemoryDevice* device,
                                        ort::OrtSyncStreamImpl** stream);
  static ort::OrtStatus* OnCompile(ort::OrtEp* self, const ort::OrtGraph** graphs,
                                   const ort::OrtNode** fused_nodes, size_t count,
                                   ort::OrtNodeComputeInfo** infos, ort::OrtNode** context_nodes);
  static void OnRelease(ort::OrtEp* self, ort::OrtNodeComputeInfo** infos, size_t count);

  Api api_;
  Logger logger_;
  OptionMap options_;
  Settings settings_;
  const Gpus& gpus_;
  std::shared_ptr<DeviceMemory> memory_;      // of sessions on a GPU
  std::unique_ptr<CopyKernels> copy_kernels_;  // likewise
  std::map<Key, std::shared_ptr<const Executable>> executables_;
};

}  // namespace hidet
