#include "ep/csrc/provider.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "ep/csrc/compute.h"
#include "ep/csrc/graph_reader.h"
#include "ep/csrc/options.h"
#include "ep/csrc/streams.h"

namespace hidet {
namespace {

std::vector<std::string> SortedOutputs(const Executable& executable) {
  std::vector<std::string> names;
  for (const TensorInfo& output : executable.outputs()) names.push_back(output.name);
  std::sort(names.begin(), names.end());
  return names;
}

struct LoadedPartition {
  std::vector<size_t> node_ids;  // sorted
  std::shared_ptr<const Executable> executable;
};

// Loads plans as they come, so that a bad one is a refusal and not a failing session.
class PartitionLoader final : public PartitionSink {
 public:
  // options: how to load; asked when the first plan comes.
  PartitionLoader(const Logger& logger, std::function<DeviceOptions()> options)
      : logger_(logger), options_(std::move(options)) {}

  void Add(const CompiledPartition& partition) noexcept override {
    try {
      LoadedPartition loaded{partition.node_ids, Load(partition)};
      std::sort(loaded.node_ids.begin(), loaded.node_ids.end());
      partitions_.push_back(std::move(loaded));
    } catch (const std::exception& error) {
      Warn("leaves a partition of " + std::to_string(partition.node_ids.size()) +
               " nodes, its plan cannot be loaded: " + error.what(),
           "");
    }
  }

  void Refuse(const std::string& node, const std::string& op_type,
              const std::string& reason) noexcept override {
    ++refused_;
    if (!logger_.Enabled(ort::kVerbose)) return;
    logger_.Log(ort::kVerbose, "HidetEP leaves node '" + node + "' (" + op_type + "): " + reason);
  }

  void Warn(const std::string& text, const std::string& detail) noexcept override {
    logger_.Log(ort::kWarning, "HidetEP: " + text);
    if (!detail.empty()) logger_.Log(ort::kVerbose, detail);
  }

  const std::vector<LoadedPartition>& partitions() const { return partitions_; }
  size_t refused() const { return refused_; }

 private:
  std::shared_ptr<const Executable> Load(const CompiledPartition& partition) const {
    std::vector<ConstantView> constants;
    for (const ByteView& constant : partition.constants) {
      constants.push_back({constant.data, constant.bytes});
    }
    return Executable::Load(static_cast<const uint8_t*>(partition.plan.data),
                            partition.plan.bytes, constants.data(), constants.size(), options_());
  }

  const Logger& logger_;
  std::function<DeviceOptions()> options_;
  std::vector<LoadedPartition> partitions_;
  size_t refused_ = 0;
};

bool HasFreeNode(const Api& api, const std::vector<const ort::OrtNode*>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](const ort::OrtNode* node) { return NodeOwner(api, *node).empty(); });
}

}  // namespace

Provider::Provider(Api api, Logger logger, OptionMap options, Settings settings, const Gpus& gpus)
    : ort::OrtEp{},
      api_(api),
      logger_(logger),
      options_(std::move(options)),
      settings_(std::move(settings)),
      gpus_(gpus) {
  ort_version_supported = api.version();
  GetName = [](const ort::OrtEp*) { return kProviderName; };
  GetCapability = &Provider::OnGetCapability;
  Compile = &Provider::OnCompile;
  ReleaseNodeComputeInfos = &Provider::OnRelease;
  if (!gpus_.empty()) {
    CreateAllocator = &Provider::OnCreateAllocator;
    GetDefaultMemoryDevice = [](const ort::OrtEp* self, const ort::OrtMemoryDevice** device) {
      // One device of ours serves both targets, so that {"target": "cuda"} alone picks GPU memory.
      const auto& provider = *static_cast<const Provider*>(self);
      *device = provider.settings_.on_gpu ? nullptr : provider.gpus_.host_memory();
      return static_cast<ort::OrtStatus*>(nullptr);
    };
  }
  if (settings_.on_gpu) RunOnGpu();
  if (!settings_.target.empty()) {
    logger_.Log(ort::kInfo, "HidetEP compiles for " + settings_.target);
  }
}

void Provider::RunOnGpu() {
  const uint64_t limit = settings_.memory_limit;
  memory_ = std::make_shared<DeviceMemory>(settings_.device_id, limit == 0 ? SIZE_MAX : limit);
  copy_kernels_ = std::make_unique<CopyKernels>(api_, kProviderName, settings_.device_id);
  CreateSyncStreamForDevice = &Provider::OnCreateStream;
  GetKernelRegistry = [](ort::OrtEp* self, const ort::OrtKernelRegistry** registry) {
    *registry = static_cast<Provider*>(self)->copy_kernels_->registry();
    return static_cast<ort::OrtStatus*>(nullptr);
  };
  Sync = [](ort::OrtEp* self) {
    auto& provider = *static_cast<Provider*>(self);
    return provider.api_.Guard([&] { provider.memory_->Synchronize(); });
  };
}

DeviceOptions Provider::LoadOptions() {
  DeviceOptions options;
  if (!settings_.on_gpu) return options;
  options.device_id = settings_.device_id;
  options.use_graph = settings_.use_graph;
  options.stream = reinterpret_cast<void*>(settings_.stream);
  options.memory = memory_->Pool();
  return options;
}

std::unique_ptr<DeviceAllocator> Provider::NewAllocator(const ort::OrtMemoryInfo& info) {
  const ort::OrtMemoryDevice* device = api_.ep().MemoryInfo_GetMemoryDevice(&info);
  const auto ordinal = static_cast<int>(api_.ep().MemoryDevice_GetDeviceId(device));
  if (!settings_.on_gpu) {  // ONNX Runtime makes one, and keeps tensors in host memory
    return std::make_unique<DeviceAllocator>(api_, logger_, &info,
                                             std::make_shared<DeviceMemory>(ordinal, SIZE_MAX));
  }
  if (ordinal != settings_.device_id) {
    hidet::Fail(ErrorCode::kInvalidArgument,
                "HidetEP: option device_id is %d, but the session was given CUDA device %d",
                settings_.device_id, ordinal);
  }
  return std::make_unique<DeviceAllocator>(api_, logger_, &info, memory_);
}

void Provider::Claim(const ort::OrtGraph& graph, ort::OrtEpGraphSupportInfo& info) {
  const std::vector<const ort::OrtNode*> nodes = ListNodes(api_, graph);
  if (!HasFreeNode(api_, nodes)) return;
  Bridge* bridge = CurrentBridge();
  if (bridge == nullptr) {
    logger_.Log(ort::kWarning,
                "HidetEP has no compiler in this process (Python: import hidet_ep); it takes "
                "no nodes");
    return;
  }
  const GraphView view = ReadGraph(api_, graph);
  PartitionLoader loader(logger_, [this] { return LoadOptions(); });
  bridge->Partition(view, options_, loader);

  std::unordered_map<size_t, const ort::OrtNode*> node_of;
  for (const ort::OrtNode* node : nodes) node_of[NodeId(api_, *node)] = node;
  size_t taken = 0;
  for (const LoadedPartition& partition : loader.partitions()) {
    std::vector<const ort::OrtNode*> members;
    for (const size_t id : partition.node_ids) members.push_back(node_of.at(id));
    const ort::OrtNodeFusionOptions fusion{api_.version(), /*drop_constant_initializers=*/true};
    api_.Check(api_.ep().EpGraphSupportInfo_AddNodesToFuse(&info, members.data(), members.size(),
                                                           &fusion));
    executables_[{partition.node_ids, SortedOutputs(*partition.executable)}] =
        partition.executable;
    taken += members.size();
  }
  logger_.Log(ort::kInfo, "HidetEP takes " + std::to_string(taken) + " of " +
                              std::to_string(nodes.size()) + " nodes of graph '" + view.name +
                              "' in " + std::to_string(loader.partitions().size()) +
                              " partition(s), and leaves " + std::to_string(loader.refused()));
}

std::unique_ptr<NodeCompute> Provider::Build(const ort::OrtGraph& graph,
                                                         const ort::OrtNode& fused_node) {
  Key key;
  for (const ort::OrtNode* node : ListNodes(api_, graph)) key.first.push_back(NodeId(api_, *node));
  key.second = OutputNames(api_, fused_node);
  const std::vector<std::string> outputs = key.second;
  std::sort(key.first.begin(), key.first.end());
  std::sort(key.second.begin(), key.second.end());
  const auto found = executables_.find(key);
  if (found == executables_.end()) {
    hidet::Fail(ErrorCode::kFail,
                "HidetEP: no plan was made for node '%s' (%zu nodes, %zu outputs)",
                NodeName(api_, fused_node).c_str(), key.first.size(), key.second.size());
  }
  auto executable = std::move(found->second);
  executables_.erase(found);
  return std::make_unique<NodeCompute>(api_, std::move(executable), settings_.device_id,
                                       InputNames(api_, fused_node), outputs);
}

ort::OrtStatus* Provider::OnGetCapability(ort::OrtEp* self, const ort::OrtGraph* graph,
                                          ort::OrtEpGraphSupportInfo* info) {
  auto& provider = *static_cast<Provider*>(self);
  return provider.api_.Guard([&] { provider.Claim(*graph, *info); });
}

ort::OrtStatus* Provider::OnCreateAllocator(ort::OrtEp* self, const ort::OrtMemoryInfo* info,
                                            ort::OrtAllocator** allocator) {
  auto& provider = *static_cast<Provider*>(self);
  return provider.api_.Guard([&] { *allocator = provider.NewAllocator(*info).release(); });
}

ort::OrtStatus* Provider::OnCreateStream(ort::OrtEp* self, const ort::OrtMemoryDevice*,
                                         ort::OrtSyncStreamImpl** stream) {
  auto& provider = *static_cast<Provider*>(self);
  return provider.api_.Guard([&] {
    const auto users = reinterpret_cast<CUstream>(provider.settings_.stream);
    *stream = new SyncStream(provider.api_, provider.memory_, users);
  });
}

ort::OrtStatus* Provider::OnCompile(ort::OrtEp* self, const ort::OrtGraph** graphs,
                                    const ort::OrtNode** fused_nodes, size_t count,
                                    ort::OrtNodeComputeInfo** infos, ort::OrtNode**) {
  auto& provider = *static_cast<Provider*>(self);
  return provider.api_.Guard([&] {
    std::vector<std::unique_ptr<NodeCompute>> built;
    for (size_t i = 0; i < count; ++i) {
      built.push_back(provider.Build(*graphs[i], *fused_nodes[i]));
    }
    for (size_t i = 0; i < count; ++i) infos[i] = built[i].release();
  });
}

void Provider::OnRelease(ort::OrtEp*, ort::OrtNodeComputeInfo** infos, size_t count) {
  for (size_t i = 0; i < count; ++i) delete static_cast<NodeCompute*>(infos[i]);
}

}  // namespace hidet
