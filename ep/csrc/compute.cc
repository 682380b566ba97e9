#include "ep/csrc/compute.h"

#include <sched.h>

#include <algorithm>
#include <thread>

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

class KernelRun final : public RunContext {
 public:
  KernelRun(const Api& api, ort::OrtKernelContext* context, const std::vector<size_t>& inputs,
            const std::vector<size_t>& outputs, size_t threads)
      : api_(api), context_(context), inputs_(inputs), outputs_(outputs), threads_(threads) {}

  TensorView Input(size_t i) override {
    const ort::OrtValue* value = nullptr;
    api_.Check(api_->KernelContext_GetInput(context_, inputs_[i], &value));
    if (value == nullptr) Fail(ErrorCode::kInvalidArgument, "HidetEP: input %zu is missing", i);
    TensorView view{};
    ort::ONNXTensorElementDataType dtype{};
    api_.Check(api_->GetTensorElementTypeAndShapeDataReference(value, &dtype, &view.shape,
                                                               &view.rank));
    view.dtype = static_cast<DataType>(dtype);
    api_.Check(api_->GetTensorData(value, &view.data));
    return view;
  }

  OutputView Output(size_t i, const int64_t* dims, size_t rank) override {
    ort::OrtValue* value = nullptr;
    api_.Check(api_->KernelContext_GetOutput(context_, outputs_[i], dims, rank, &value));
    void* data = nullptr;
    api_.Check(api_->GetTensorMutableData(value, &data));
    return {data};
  }

  void ParallelFor(void (*fn)(void*, size_t), size_t total, void* user) override {
    constexpr size_t kOneTaskPerIndex = 0;
    api_.Check(api_->KernelContext_ParallelFor(context_, fn, total, kOneTaskPerIndex, user));
  }

  size_t Threads() const override { return threads_; }

 private:
  const Api& api_;
  ort::OrtKernelContext* context_;
  const std::vector<size_t>& inputs_;
  const std::vector<size_t>& outputs_;
  size_t threads_;
};

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

NodeCompute::NodeCompute(Api api, std::shared_ptr<const Executable> executable,
                         const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs)
    : ort::OrtNodeComputeInfo{},
      api_(api),
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
    KernelRun run(node.api_, context, node.input_index_, node.output_index_, node.threads_);
    node.executable_->Run(run);
  });
}

}  // namespace hidet
