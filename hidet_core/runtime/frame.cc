#include "hidet_core/runtime/frame.h"

namespace hidet {
namespace {

bool IsCallers(BufferKind kind) {
  return kind == BufferKind::kInput || kind == BufferKind::kOutput;
}

}  // namespace

Frame::Frame(const LoadedPlan& loaded) : loaded_(loaded), plan_(loaded.data()) {
  symbols_.assign(plan_.symbols.size(), -1);
  values_.resize(plan_.expressions.size());
  for (const BufferSpec& buffer : plan_.buffers) {
    planned_.push_back({0, buffer.first, buffer.last, buffer.halo});
  }
  input_bytes_.resize(plan_.inputs.size());
  output_bytes_.resize(plan_.outputs.size());
  inputs_.resize(plan_.inputs.size());
  outputs_.resize(plan_.outputs.size());
  size_t dims = 0;
  for (const TensorSpec& output : plan_.outputs) dims += output.shape.size();
  output_dims_.reserve(dims);
  size_t args = 0;
  size_t scalars = 0;
  for (const LaunchSpec& launch : plan_.launches) {
    for (const ArgumentSpec& arg : launch.args) {
      if (IsCallers(plan_.buffers[arg.buffer].kind)) patches_.push_back({args, &arg, 0});
      ++args;
    }
    scalars += launch.scalars.size();
  }
  args_.resize(args);
  scalars_.resize(scalars);
  calls_.reserve(plan_.launches.size());
  launches_.reserve(plan_.launches.size());
  if (symbols_.empty()) Prepare();
}

void Frame::Run(RunContext& context, std::vector<LaunchRecord>* records) {
  BindInputs(context);
  BindOutputs(context);
  PatchArguments();
  if (context.Threads() != threads_) {
    threads_ = context.Threads();
    team_.Split(calls_, threads_);
  }
  const int64_t begin = NowNs();
  team_.Run(context);
  if (records != nullptr) Record(begin, *records);
}

void Frame::Record(int64_t begin_ns, std::vector<LaunchRecord>& records) const {
  for (size_t i = 0; i < calls_.size(); ++i) {
    const int64_t end = team_.end_ns(i);
    records.push_back(
        {launches_[i]->name.c_str(), calls_[i].tasks, team_.pieces(i), end - begin_ns});
    begin_ns = end;
  }
}

void Frame::BindInputs(RunContext& context) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    inputs_[i] = context.Input(i);
    CheckRankAndType(i);
  }
  if (BindSymbols() || !ready_) Prepare();
  for (size_t i = 0; i < inputs_.size(); ++i) CheckDims(i);
}

void Frame::CheckRankAndType(size_t input) const {
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

// Returns whether a value changed.
bool Frame::BindSymbols() {
  bool changed = false;
  for (size_t i = 0; i < symbols_.size(); ++i) {
    const SymbolBinding& from = plan_.bindings[i];
    const int64_t value = inputs_[from.input].shape[from.axis];
    changed |= value != symbols_[i];
    symbols_[i] = value;
  }
  ready_ = ready_ && !changed;
  return changed;
}

void Frame::CheckDims(size_t input) const {
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

void Frame::BindOutputs(RunContext& context) {
  const int64_t* dims = output_dims_.data();
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const size_t rank = plan_.outputs[i].shape.size();
    outputs_[i] = context.Output(i, dims, rank);
    dims += rank;
  }
}

void Frame::PatchArguments() {
  for (const Patch& patch : patches_) {
    const BufferSpec& buffer = plan_.buffers[patch.arg->buffer];
    void* base = buffer.kind == BufferKind::kInput ? const_cast<void*>(inputs_[buffer.index].data)
                                                   : outputs_[buffer.index];
    // an empty tensor may have no address at all
    args_[patch.slot] = base == nullptr ? nullptr : static_cast<uint8_t*>(base) + patch.offset;
  }
}

}  // namespace hidet
