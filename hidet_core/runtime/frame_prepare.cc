// The part of Frame that runs only when the symbols' values change.
#include <cstring>

#include "hidet_core/runtime/frame.h"

namespace hidet {
namespace {

// A new arena is this much larger than asked for (1/8) if the old one was too small, so that slowly
// growing shapes (a sequence that gets one token longer per run) do not ask the system each time.
size_t WithSlack(size_t bytes, size_t before) { return before == 0 ? bytes : bytes + bytes / 8; }

}  // namespace

void Frame::Prepare() {
  ready_ = false;
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i] = plan_.expressions[i].Evaluate(symbols_.data());
  }
  EvaluateTensors(plan_.inputs, input_bytes_);
  EvaluateTensors(plan_.outputs, output_bytes_);
  output_dims_.clear();
  for (const TensorSpec& output : plan_.outputs) {
    for (const ExpressionId dim : output.shape) output_dims_.push_back(values_[dim]);
  }
  PlanArena();
  MakeCalls();
  threads_ = 0;
  ready_ = true;
}

void Frame::EvaluateTensors(const std::vector<TensorSpec>& specs, std::vector<int64_t>& bytes) {
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

void Frame::PlanArena() {
  for (size_t i = 0; i < planned_.size(); ++i) {
    const BufferSpec& buffer = plan_.buffers[i];
    if (buffer.kind == BufferKind::kTemp) {
      planned_[i].bytes = values_[buffer.bytes];
    } else if (buffer.kind != BufferKind::kConstant) {
      CheckCallerBuffer(buffer);
    }
  }
  const auto need = static_cast<size_t>(planner_.Plan(planned_));
  if (need > arena_.bytes()) {
    const size_t bytes = WithSlack(need, arena_.bytes());
    arena_ = Pages();  // the old one first: not both at a time
    arena_ = Pages(bytes);
  } else if (planner_.halo_bytes() > 0) {
    std::memset(arena_.data(), 0, static_cast<size_t>(planner_.halo_bytes()));
  }
}

// The kernels use `buffer.bytes` of the caller's tensor: it must have that many.
void Frame::CheckCallerBuffer(const BufferSpec& buffer) const {
  const bool input = buffer.kind == BufferKind::kInput;
  const int64_t tensor = (input ? input_bytes_ : output_bytes_)[buffer.index];
  if (values_[buffer.bytes] <= tensor) return;
  const TensorSpec& spec = (input ? plan_.inputs : plan_.outputs)[buffer.index];
  Fail(ErrorCode::kInvalidPlan, "the buffer of tensor '%s' has %lld bytes, the tensor %lld",
       spec.name.c_str(), static_cast<long long>(values_[buffer.bytes]),
       static_cast<long long>(tensor));
}

void Frame::MakeCalls() {
  calls_.clear();
  launches_.clear();
  size_t arg_slot = 0;
  size_t scalar_slot = 0;
  for (const LaunchSpec& launch : plan_.launches) {
    const int64_t tasks = values_[launch.tasks];
    if (tasks < 0) {
      Fail(ErrorCode::kInvalidArgument, "launch '%s' has %lld tasks", launch.name.c_str(),
           static_cast<long long>(tasks));
    }
    if (tasks > 0) {
      calls_.push_back({loaded_.function(launch.kernel), args_.data() + arg_slot,
                        scalars_.data() + scalar_slot, tasks, launch.work_ns});
      launches_.push_back(&launch);
    }
    for (const ArgumentSpec& arg : launch.args) SetArgument(arg, arg_slot++, launch);
    for (const ExpressionId scalar : launch.scalars) scalars_[scalar_slot++] = values_[scalar];
  }
  for (Patch& patch : patches_) patch.offset = values_[patch.arg->offset_bytes];
}

void Frame::SetArgument(const ArgumentSpec& arg, size_t slot, const LaunchSpec& launch) {
  const BufferSpec& buffer = plan_.buffers[arg.buffer];
  const int64_t offset = values_[arg.offset_bytes];
  if (offset < 0 || offset > values_[buffer.bytes]) {
    Fail(ErrorCode::kInvalidArgument,
         "launch '%s': offset %lld is outside of buffer %u (%lld bytes)", launch.name.c_str(),
         static_cast<long long>(offset), arg.buffer, static_cast<long long>(values_[buffer.bytes]));
  }
  if (buffer.kind == BufferKind::kConstant) {
    args_[slot] = loaded_.constant(buffer.index) + offset;
  } else if (buffer.kind == BufferKind::kTemp) {
    args_[slot] = arena_.data() + planned_[arg.buffer].offset + offset;
  }
}

}  // namespace hidet
