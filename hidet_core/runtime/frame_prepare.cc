// The part of Frame that runs only when the symbols' values change.
#include <cstring>

#include "hidet_core/runtime/frame.h"

namespace hidet {

void Frame::Prepare() {
  ready_ = false;
  binding_.Evaluate();
  PlanArena();
  MakeCalls();
  threads_ = 0;
  ready_ = true;
}

void Frame::PlanArena() {
  for (size_t i = 0; i < planned_.size(); ++i) {
    const BufferSpec& buffer = plan_.buffers[i];
    if (buffer.kind == BufferKind::kTemp) planned_[i].bytes = binding_.values()[buffer.bytes];
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

void Frame::MakeCalls() {
  calls_.clear();
  launches_.clear();
  size_t arg_slot = 0;
  size_t scalar_slot = 0;
  const std::vector<int64_t>& values = binding_.values();
  for (const LaunchSpec& launch : plan_.launches) {
    const int64_t tasks = binding_.Tasks(launch);
    if (tasks > 0) {
      calls_.push_back({loaded_.function(launch.kernel), args_.data() + arg_slot,
                        scalars_.data() + scalar_slot, tasks, launch.work_ns,
                        plan_.kernels[launch.kernel].shared_bytes});
      launches_.push_back(&launch);
    }
    for (const ArgumentSpec& arg : launch.args) SetArgument(arg, arg_slot++, launch);
    for (const ExpressionId scalar : launch.scalars) scalars_[scalar_slot++] = values[scalar];
  }
  for (Patch& patch : patches_) patch.offset = values[patch.arg->offset_bytes];
}

void Frame::SetArgument(const ArgumentSpec& arg, size_t slot, const LaunchSpec& launch) {
  const BufferSpec& buffer = plan_.buffers[arg.buffer];
  const int64_t offset = binding_.Offset(launch, arg);
  if (buffer.kind == BufferKind::kConstant) {
    args_[slot] = loaded_.constant(buffer.index) + offset;
  } else if (buffer.kind == BufferKind::kTemp) {
    args_[slot] = arena_.data() + planned_[arg.buffer].offset + offset;
  }
}

}  // namespace hidet
