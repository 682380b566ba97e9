#include "hidet_core/runtime/cuda/prepared.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace hidet::cuda {
namespace {

constexpr int64_t kPlaceAlignment = 256;
constexpr int64_t kFreelyUsed = int64_t{64} << 20;  // bytes for branches side by side
constexpr size_t kShareOfLimit = 16;                // at most this part of the memory's limit
constexpr uint32_t kArena = 0;  // numbers of memories for FindDependencies; then the tensors

}  // namespace

Prepared::Prepared(const LoadedPlan& loaded, const Binding& binding, const StagedTensors& staged)
    : loaded_(loaded), plan_(loaded.data()), symbols_(binding.symbols()), staged_(staged),
      maps_(loaded.device()) {
  PlanArena(binding);
  for (const LaunchSpec& launch : plan_.launches) {
    const int64_t tasks = binding.Tasks(launch);
    if (tasks > 0) AddStep(binding, launch, tasks);
  }
  addresses_.reserve(parameters_.size());
  for (uint64_t& parameter : parameters_) addresses_.push_back(&parameter);
  maps_.Place(addresses_);
}

Prepared::~Prepared() {
  const DriverFunctions& f = loaded_.device().functions();
  try {
    const Device::Scope scope(loaded_.device());
    if (executable_ != nullptr) f.GraphExecDestroy(executable_);
    if (graph_ != nullptr) f.GraphDestroy(graph_);
  } catch (const std::exception&) {
    // the device is gone, and the graph with it
  }
}

size_t Prepared::Tensor(const BufferSpec& buffer) const {
  const bool input = buffer.kind == BufferKind::kInput;
  return input ? buffer.index : plan_.inputs.size() + buffer.index;
}

bool Prepared::IsStaged(const BufferSpec& buffer) const {
  return IsCallers(buffer.kind) && staged_[Tensor(buffer)] != 0;
}

// The plan's buffers, and copies of staged tensors: inputs from before the first launch to their
// last use, outputs from their first use to the end.
void Prepared::PlanArena(const Binding& binding) {
  for (const BufferSpec& buffer : plan_.buffers) {
    const bool temporary = buffer.kind == BufferKind::kTemp;
    planned_.push_back({temporary ? binding.values()[buffer.bytes] : 0, buffer.first, buffer.last,
                        buffer.halo});
  }
  for (uint32_t i = 0; i < plan_.inputs.size(); ++i) {
    AddTensor(i, BufferKind::kInput, i, binding.input_bytes()[i]);
  }
  for (uint32_t i = 0; i < plan_.outputs.size(); ++i) {
    AddTensor(plan_.inputs.size() + i, BufferKind::kOutput, i, binding.output_bytes()[i]);
  }
  PlaceBuffers(binding);
  for (size_t tensor = 0; tensor < staged_.size(); ++tensor) {
    const PlannedBuffer& planned = planned_[plan_.buffers.size() + tensor];
    staged_offsets_.push_back(planned.first <= planned.last ? planned.offset : -1);
  }
}

// Buffers of branches that can run side by side share no memory, unless that takes far more of it;
// then memory orders the branches.
void Prepared::PlaceBuffers(const Binding& binding) {
  MemoryPlanner planner(kPlaceAlignment);
  const int64_t least = planner.Plan(planned_);
  arena_bytes_ = static_cast<size_t>(least);
  zero_bytes_ = static_cast<size_t>(planner.halo_bytes());
  if (!loaded_.use_graph()) return;
  std::vector<PlannedBuffer> apart = planned_;
  const BufferPairs together = FindBuffersUsedTogether(binding);
  const int64_t need = planner.Plan(apart, &together);
  const auto bound = static_cast<int64_t>(
      std::min<size_t>(loaded_.memory().limit() / kShareOfLimit, INT64_MAX));
  if (need - least > std::min(std::max(least / 2, kFreelyUsed), bound)) return;
  planned_ = std::move(apart);
  arena_bytes_ = static_cast<size_t>(need);
  zero_bytes_ = static_cast<size_t>(planner.halo_bytes());
}

// The copies of staged inputs come before all launches, those of outputs after all of them.
BufferPairs Prepared::FindBuffersUsedTogether(const Binding& binding) const {
  const auto buffers = static_cast<uint32_t>(plan_.buffers.size());
  std::vector<std::vector<Access>> accesses(1);
  const auto add = [&](size_t memory, bool stored, uint32_t buffer = 0, uint32_t part = 0) {
    accesses.back().push_back({static_cast<uint32_t>(memory), 0, 1, stored, buffer, part});
  };
  for (size_t i = 0; i < plan_.inputs.size(); ++i) {
    if (staged_[i] != 0) add(buffers + i, true);
  }
  for (const LaunchSpec& launch : plan_.launches) {
    if (binding.Tasks(launch) == 0) continue;
    accesses.emplace_back();
    for (const ArgumentSpec& arg : launch.args) {
      const BufferSpec& buffer = plan_.buffers[arg.buffer];
      if (buffer.kind == BufferKind::kConstant) continue;
      add(IsCallers(buffer.kind) ? buffers + Tensor(buffer) : arg.buffer, arg.stored, arg.buffer,
          arg.part);
    }
  }
  accesses.emplace_back();
  for (size_t tensor = plan_.inputs.size(); tensor < staged_.size(); ++tensor) {
    if (staged_[tensor] != 0) add(buffers + tensor, false);
  }
  return FindConcurrent(accesses, buffers + staged_.size());
}

void Prepared::AddTensor(size_t tensor, BufferKind kind, uint32_t index, int64_t bytes) {
  PlannedBuffer planned{0, 0, -1, 0};
  const auto count = static_cast<int32_t>(plan_.launches.size());
  for (int32_t position = 0; position < count && staged_[tensor] != 0; ++position) {
    for (const ArgumentSpec& arg : plan_.launches[static_cast<size_t>(position)].args) {
      const BufferSpec& buffer = plan_.buffers[arg.buffer];
      if (buffer.kind != kind || buffer.index != index) continue;
      if (planned.last < 0) planned.first = kind == BufferKind::kInput ? 0 : position;
      planned.last = kind == BufferKind::kInput ? position : count - 1;
      planned.bytes = bytes;
    }
  }
  planned_.push_back(planned);
}

void Prepared::AddStep(const Binding& binding, const LaunchSpec& launch, int64_t tasks) {
  if (tasks > std::numeric_limits<int32_t>::max()) {
    Fail(ErrorCode::kInvalidArgument, "launch '%s' has %lld blocks, possible are 2^31 - 1",
         launch.name.c_str(), static_cast<long long>(tasks));
  }
  steps_.push_back({&launch, &plan_.kernels[launch.kernel], loaded_.function(launch.kernel),
                    static_cast<unsigned>(tasks), parameters_.size(), true});
  accesses_.emplace_back();
  for (const ArgumentSpec& arg : launch.args) AddArgument(binding, launch, arg);
  for (const ExpressionId scalar : launch.scalars) {
    parameters_.push_back(static_cast<uint64_t>(binding.values()[scalar]));
  }
}

void Prepared::AddArgument(const Binding& binding, const LaunchSpec& launch,
                           const ArgumentSpec& arg) {
  const BufferSpec& buffer = plan_.buffers[arg.buffer];
  const int64_t offset = binding.Offset(launch, arg);
  const size_t parameter = parameters_.size();
  parameters_.push_back(0);
  if (arg.map) maps_.Add(binding, launch, arg, parameter, steps_.size() - 1);
  if (buffer.kind == BufferKind::kConstant) {
    parameters_[parameter] = Address(loaded_.constant(buffer.index) + offset);
    return;
  }
  const bool is_caller = IsCallers(buffer.kind);
  if (is_caller && !IsStaged(buffer)) {
    patches_.push_back({parameter, steps_.size() - 1, &buffer, offset});
    const auto memory = static_cast<uint32_t>(kArena + 1 + Tensor(buffer));
    accesses_.back().push_back(
        {memory, 0, std::numeric_limits<int64_t>::max(), arg.stored, arg.buffer, arg.part});
    return;
  }
  const PlannedBuffer& planned =
      planned_[is_caller ? plan_.buffers.size() + Tensor(buffer) : arg.buffer];
  arena_pointers_.push_back({parameter, planned.offset + offset});
  accesses_.back().push_back({kArena, planned.offset, planned.offset + planned.bytes, arg.stored,
                              arg.buffer, arg.part});
}

void Prepared::PlaceArena(uint8_t* arena) {
  for (const ArenaPointer& pointer : arena_pointers_) {
    parameters_[pointer.parameter] = Address(arena + pointer.offset);
  }
}

void Prepared::PatchCallers(const Binding& binding) {
  for (const Patch& patch : patches_) {
    const auto* base = static_cast<const uint8_t*>(binding.Data(*patch.buffer));
    // an empty tensor may have no address at all
    const uint64_t address = base == nullptr ? 0 : Address(base + patch.offset);
    if (parameters_[patch.parameter] == address) continue;
    parameters_[patch.parameter] = address;
    steps_[patch.step].is_changed = true;
  }
  maps_.Encode(parameters_, [this](size_t step) { steps_[step].is_changed = true; });
}

void Prepared::Launch(size_t launch, CUstream stream) {
  const Step& step = steps_[launch];
  CUlaunchAttribute dependent{};
  dependent.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  dependent.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config{};
  config.gridDimX = step.grid;
  config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = step.kernel->threads;
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = step.kernel->shared_bytes;
  config.hStream = stream;
  config.attrs = &dependent;
  config.numAttrs = step.kernel->dependent ? 1 : 0;
  const CUresult code = loaded_.device().functions().LaunchKernelEx(
      &config, step.function, addresses_.data() + step.first, nullptr);
  if (code == CUDA_SUCCESS) return;
  const std::string what = "launch '" + step.spec->name + "'";
  loaded_.device().Check(code, "cuLaunchKernelEx", what.c_str());
}

CUDA_KERNEL_NODE_PARAMS Prepared::NodeParameters(const Step& step) {
  CUDA_KERNEL_NODE_PARAMS parameters{};
  parameters.func = step.function;
  parameters.gridDimX = step.grid;
  parameters.gridDimY = parameters.gridDimZ = 1;
  parameters.blockDimX = step.kernel->threads;
  parameters.blockDimY = parameters.blockDimZ = 1;
  parameters.sharedMemBytes = step.kernel->shared_bytes;
  parameters.kernelParams = addresses_.data() + step.first;
  return parameters;
}

void Prepared::LaunchGraph(CUstream stream) {
  const Device& device = loaded_.device();
  const DriverFunctions& f = device.functions();
  if (executable_ == nullptr) MakeGraph();
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (!steps_[i].is_changed) continue;
    const CUDA_KERNEL_NODE_PARAMS parameters = NodeParameters(steps_[i]);
    device.Check(f.GraphExecKernelNodeSetParams(executable_, nodes_[i], &parameters),
                 "cuGraphExecKernelNodeSetParams", steps_[i].spec->name.c_str());
    steps_[i].is_changed = false;
  }
  device.Check(f.GraphLaunch(executable_, stream), "cuGraphLaunch", plan_.name.c_str());
}

void Prepared::MakeGraph() {
  const Device& device = loaded_.device();
  const DriverFunctions& f = device.functions();
  if (graph_ != nullptr) f.GraphDestroy(graph_);  // of an attempt that failed
  graph_ = nullptr;
  device.Check(f.GraphCreate(&graph_, 0), "cuGraphCreate", plan_.name.c_str());
  AddNodes();
  device.Check(f.GraphInstantiate(&executable_, graph_, 0), "cuGraphInstantiate",
               plan_.name.c_str());
}

// Edges are where memory demands them, so that independent branches run side by side.
void Prepared::AddNodes() {
  const std::vector<std::vector<uint32_t>> before = FindDependencies(accesses_);
  nodes_.clear();
  for (size_t i = 0; i < steps_.size(); ++i) AddNode(steps_[i], before[i]);
}

// A kernel that waits by itself for the one before it may start early, where that is but one.
void Prepared::AddNode(Step& step, const std::vector<uint32_t>& before) {
  const Device& device = loaded_.device();
  const DriverFunctions& f = device.functions();
  const bool is_early =
      step.kernel->dependent && before.size() == 1 && f.GraphAddDependencies != nullptr;
  std::vector<CUgraphNode> after;
  for (const uint32_t earlier : before) after.push_back(nodes_[earlier]);
  const CUDA_KERNEL_NODE_PARAMS parameters = NodeParameters(step);
  CUgraphNode node = nullptr;
  device.Check(f.GraphAddKernelNode(&node, graph_, after.data(), is_early ? 0 : after.size(),
                                    &parameters),
               "cuGraphAddKernelNode", step.spec->name.c_str());
  nodes_.push_back(node);
  step.is_changed = false;
  if (!is_early) return;
  CUgraphEdgeData edge{};
  edge.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC;
  edge.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
  device.Check(f.GraphAddDependencies(graph_, after.data(), &node, &edge, 1),
               "cuGraphAddDependencies", step.spec->name.c_str());
}

}  // namespace hidet::cuda
