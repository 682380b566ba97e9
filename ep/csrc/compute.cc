#include "ep/csrc/compute.h"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "ep/csrc/device_memory.h"
#include "ep/csrc/tensor_copy.h"

namespace hidet {
namespace {

// Upper estimate of the threads in the session's pool, which has no question for their number. Too
// high costs little: the pool runs the surplus ranges one after another on the threads it has.
size_t UsableProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

class KernelRun final : public RunContext {
 public:
  KernelRun(const NodeCompute& node, ort::OrtKernelContext* context)
      : node_(node), api_(node.api_), context_(context) {}

  TensorView Input(size_t i) override {
    const ort::OrtValue* value = nullptr;
    api_.Check(api_->KernelContext_GetInput(context_, node_.input_index_[i], &value));
    if (value == nullptr) Fail(ErrorCode::kInvalidArgument, "HidetEP: input %zu is missing", i);
    TensorView view{};
    ort::ONNXTensorElementDataType dtype{};
    api_.Check(api_->GetTensorElementTypeAndShapeDataReference(value, &dtype, &view.shape,
                                                               &view.rank));
    view.dtype = static_cast<DataType>(dtype);
    api_.Check(api_->GetTensorData(value, &view.data));
    view.place = CheckedPlace(*value, node_.executable_->inputs()[i].name);
    return view;
  }

  OutputView Output(size_t i, const int64_t* dims, size_t rank) override {
    ort::OrtValue* value = nullptr;
    const std::string& name = node_.executable_->outputs()[i].name;
    api_.Check(api_->KernelContext_GetOutput(context_, node_.output_index_[i], dims, rank, &value));
    OutputView view{};
    view.place = CheckedPlace(*value, name);
    api_.Check(api_->GetTensorMutableData(value, &view.data));
    if (view.place == Place::kCuda && view.data == nullptr) {
      size_t bytes = 0;
      api_.Check(api_->GetTensorSizeInBytes(value, &bytes));
      RequireMemory(view.data, bytes, ("output '" + name + "'").c_str());
    }
    return view;
  }

  void* Stream() override {
    void* stream = nullptr;
    if (node_.OnGpu()) api_.Check(api_->KernelContext_GetGPUComputeStream(context_, &stream));
    return stream;
  }

  void ParallelFor(void (*fn)(void*, size_t), size_t total, void* user) override {
    constexpr size_t kOneTaskPerIndex = 0;
    api_.Check(api_->KernelContext_ParallelFor(context_, fn, total, kOneTaskPerIndex, user));
  }

  size_t Threads() const override { return node_.threads_; }

 private:
  // ONNX Runtime is told where tensors are to lie, and copies; what lies elsewhere is an error.
  Place CheckedPlace(const ort::OrtValue& value, const std::string& name) const {
    const TensorPlace found = PlaceOf(api_, value);
    if (found.place == Place::kHost) return Place::kHost;
    if (!node_.OnGpu()) {
      Fail(ErrorCode::kInvalidArgument,
           "HidetEP: tensor '%s' is on CUDA device %d, but this session runs on the CPU",
           name.c_str(), found.ordinal);
    }
    if (found.ordinal != node_.device_id_) {
      Fail(ErrorCode::kInvalidArgument,
           "HidetEP: tensor '%s' is on CUDA device %d, but this session runs on device %d",
           name.c_str(), found.ordinal, node_.device_id_);
    }
    return Place::kCuda;
  }

  const NodeCompute& node_;
  const Api& api_;
  ort::OrtKernelContext* context_;
};

namespace {

std::vector<size_t> Locate(const std::vector<TensorInfo>& wanted,
                           const std::vector<std::string>& present, const char* what) {
  std::vector<size_t> index;
  for (const TensorInfo& tensor : wanted) {
    const auto found = std::find(present.begin(), present.end(), tensor.name);
    if (found == present.end()) {
      Fail(ErrorCode::kFail, "HidetEP: the plan's %s '%s' is not one of the fused node's", what,
           tensor.name.c_str());
    }
    index.push_back(static_cast<size_t>(found - present.begin()));
  }
  return index;
}

}  // namespace

NodeCompute::NodeCompute(Api api, std::shared_ptr<const Executable> executable, int device_id,
                         const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs)
    : ort::OrtNodeComputeInfo{},
      api_(api),
      device_id_(device_id),
      executable_(std::move(executable)),
      input_index_(Locate(executable_->inputs(), inputs, "input")),
      output_index_(Locate(executable_->outputs(), outputs, "output")),
      threads_(UsableProcessors()) {
  if (output_index_.size() != outputs.size()) {
    Fail(ErrorCode::kFail, "HidetEP: the plan has %zu outputs, the fused node %zu",
         output_index_.size(), outputs.size());
  }
  ort_version_supported = api.version();
  CreateState = [](ort::OrtNodeComputeInfo* self, ort::OrtNodeComputeContext*, void** state) {
    *state = self;  // runs keep nothing between them: the executable has its pool of arenas
    return static_cast<ort::OrtStatus*>(nullptr);
  };
  Compute = &NodeCompute::OnCompute;
  ReleaseState = [](ort::OrtNodeComputeInfo*, void*) {};
}

ort::OrtStatus* NodeCompute::OnCompute(ort::OrtNodeComputeInfo* self, void*,
                                       ort::OrtKernelContext* context) {
  const auto& node = *static_cast<const NodeCompute*>(self);
  return node.api_.Guard([&] {
    KernelRun run(node, context);
    node.executable_->Run(run);
  });
}

}  // namespace hidet
