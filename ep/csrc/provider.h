// The execution provider of one session: which nodes it takes, and what runs them.
//
// GetCapability asks the bridge for compiled partitions (a trial compile: whatever fails stays with
// ONNX Runtime) and keeps them; Compile, which must not fail, only picks them up by node ids.
// Threading: ONNX Runtime creates a session on one thread; runs go through NodeCompute alone.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ep/csrc/bridge.h"
#include "ep/csrc/ort_api.h"
#include "hidet_core/runtime/executable.h"

namespace hidet {

class NodeCompute;

class Provider : public ort::OrtEp {
 public:
  Provider(Api api, Logger logger, OptionMap options);

 private:
  // A partition's identity in both callbacks: sorted node ids, sorted names of its outputs. (Ids
  // alone may repeat: each body of an If or Loop counts its own.)
  using Key = std::pair<std::vector<size_t>, std::vector<std::string>>;

  void Claim(const ort::OrtGraph& graph, ort::OrtEpGraphSupportInfo& info);
  std::unique_ptr<NodeCompute> Build(const ort::OrtGraph& graph,
                                                 const ort::OrtNode& fused_node);

  static ort::OrtStatus* OnGetCapability(ort::OrtEp* self, const ort::OrtGraph* graph,
                                         ort::OrtEpGraphSupportInfo* info);
  static ort::OrtStatus* OnCompile(ort::OrtEp* self, const ort::OrtGraph** graphs,
                                   const ort::OrtNode** fused_nodes, size_t count,
                                   ort::OrtNodeComputeInfo** infos, ort::OrtNode** context_nodes);
  static void OnRelease(ort::OrtEp* self, ort::OrtNodeComputeInfo** infos, size_t count);

  Api api_;
  Logger logger_;
  OptionMap options_;
  std::map<Key, std::shared_ptr<const Executable>> executables_;
};

}  // namespace hidet
