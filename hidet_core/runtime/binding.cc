#include "hidet_core/runtime/binding.h"

namespace hidet {

Binding::Binding(const PlanData& plan) : plan_(plan) {
  symbols_.assign(plan_.symbols.size(), -1);
  values_.resize(plan_.expressions.size());
  input_bytes_.resize(plan_.inputs.size());
  output_bytes_.resize(plan_.outputs.size());
  inputs_.resize(plan_.inputs.size());
  outputs_.resize(plan_.outputs.size());
  size_t dims = 0;
  for (const TensorSpec& output : plan_.outputs) dims += output.shape.size();
  output_dims_.reserve(dims);
}

bool Binding::BindInputs(RunContext& context) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    inputs_[i] = context.Input(i);
    CheckRankAndType(i);
  }
  return BindSymbols();
}

void Binding::CheckInputs() const {
  for (size_t i = 0; i < inputs_.size(); ++i) CheckDims(i);
}

void Binding::CheckRankAndType(size_t input) const {
  const TensorSpec& spec = plan_.inputs[input];
  const TensorView& view = inputs_[input];
  if (view.dtype != spec.dtype) {
    Fail(ErrorCode::kInvalidArgument, "input '%s': expected element type %s, got %s",
         spec.name.c_str(), Info(spec.dtype).name, Info(view.dtype).name);
  }
  if (view.rank != spec.shape.size()) {
    Fail(ErrorCode::kInvalidArgument, "input '%s': expected rank %zu, got %zu", spec.name.c_str(),
         spec.shape.size(), view.rank);
  }
}

bool Binding::BindSymbols() {
  bool changed = false;
  for (size_t i = 0; i < symbols_.size(); ++i) {
    const SymbolBinding& from = plan_.bindings[i];
    const int64_t value = inputs_[from.input].shape[from.axis];
    changed |= value != symbols_[i];
    symbols_[i] = value;
  }
  return changed;
}

void Binding::CheckDims(size_t input) const {
  const TensorSpec& spec = plan_.inputs[input];
  const int64_t* shape = inputs_[input].shape;
  for (size_t axis = 0; axis < spec.shape.size(); ++axis) {
    const int64_t expected = values_[spec.shape[axis]];
    if (shape[axis] == expected) continue;
    Fail(ErrorCode::kInvalidArgument, "input '%s' axis %zu: expected %lld, got %lld",
         spec.name.c_str(), axis, static_cast<long long>(expected),
         static_cast<long long>(shape[axis]));
  }
}

void Binding::BindOutputs(RunContext& context) {
  const int64_t* dims = output_dims_.data();
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const size_t rank = plan_.outputs[i].shape.size();
    outputs_[i] = context.Output(i, dims, rank);
    dims += rank;
  }
}

int64_t Binding::Offset(const LaunchSpec& launch, const ArgumentSpec& arg) const {
  const int64_t offset = values_[arg.offset_bytes];
  const int64_t bytes = values_[plan_.buffers[arg.buffer].bytes];
  if (offset < 0 || offset > bytes) {
    Fail(ErrorCode::kInvalidArgument,
         "launch '%s': offset %lld is outside of buffer %u (%lld bytes)", launch.name.c_str(),
         static_cast<long long>(offset), arg.buffer, static_cast<long long>(bytes));
  }
  return offset;
}

int64_t Binding::Tasks(const LaunchSpec& launch) const {
  const int64_t tasks = values_[launch.tasks];
  if (tasks < 0) {
    Fail(ErrorCode::kInvalidArgument, "launch '%s' has %lld tasks", launch.name.c_str(),
         static_cast<long long>(tasks));
  }
  return tasks;
}

void Binding::Evaluate() {
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i] = plan_.expressions[i].Evaluate(symbols_.data());
  }
  for (const SizeCheck& check : plan_.checks) {
    if (values_[check.left] == values_[check.right]) continue;
    Fail(ErrorCode::kInvalidArgument, "%s: sizes %lld and %lld do not broadcast",
         check.where.c_str(), static_cast<long long>(values_[check.left]),
         static_cast<long long>(values_[check.right]));
  }
  EvaluateTensors(plan_.inputs, input_bytes_);
  EvaluateTensors(plan_.outputs, output_bytes_);
  output_dims_.clear();
  for (const TensorSpec& output : plan_.outputs) {
    for (const ExpressionId dim : output.shape) output_dims_.push_back(values_[dim]);
  }
  for (const BufferSpec& buffer : plan_.buffers) {
    if (IsCallers(buffer.kind)) CheckCallerBuffer(buffer);
  }
}

void Binding::EvaluateTensors(const std::vector<TensorSpec>& specs, std::vector<int64_t>& bytes) {
  for (size_t i = 0; i < specs.size(); ++i) {
    auto total = static_cast<int64_t>(Info(specs[i].dtype).bytes);
    for (size_t axis = 0; axis < specs[i].shape.size(); ++axis) {
      const int64_t dim = values_[specs[i].shape[axis]];
      if (dim < 0 || __builtin_mul_overflow(total, dim, &total)) {
        Fail(ErrorCode::kInvalidArgument, "tensor '%s' axis %zu: size %lld is not possible",
             specs[i].name.c_str(), axis, static_cast<long long>(dim));
      }
    }
    bytes[i] = total;
  }
}

// The kernels use `buffer.bytes` of the caller's tensor: it must have that many.
void Binding::CheckCallerBuffer(const BufferSpec& buffer) const {
  const bool input = buffer.kind == BufferKind::kInput;
  const int64_t tensor = (input ? input_bytes_ : output_bytes_)[buffer.index];
  if (values_[buffer.bytes] <= tensor) return;
  const TensorSpec& spec = (input ? plan_.inputs : plan_.outputs)[buffer.index];
  Fail(ErrorCode::kInvalidPlan, "the buffer of tensor '%s' has %lld bytes, the tensor %lld",
       spec.name.c_str(), static_cast<long long>(values_[buffer.bytes]),
       static_cast<long long>(tensor));
}

}  // namespace hidet
