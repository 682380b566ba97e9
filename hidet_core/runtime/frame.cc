#include "hidet_core/runtime/frame.h"

namespace hidet {

Frame::Frame(const LoadedPlan& loaded)
    : loaded_(loaded), plan_(loaded.data()), binding_(loaded.data()) {
  for (const BufferSpec& buffer : plan_.buffers) {
    planned_.push_back({0, buffer.first, buffer.last, buffer.halo});
  }
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
  if (plan_.symbols.empty()) Prepare();
}

void Frame::Run(RunContext& context, std::vector<LaunchRecord>* records) {
  const bool changed = binding_.BindInputs(context);
  ready_ = ready_ && !changed;
  if (!ready_) Prepare();
  binding_.CheckInputs();
  binding_.BindOutputs(context);
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

void Frame::PatchArguments() {
  for (const Patch& patch : patches_) {
    void* base = binding_.Data(plan_.buffers[patch.arg->buffer]);
    // an empty tensor may have no address at all
    args_[patch.slot] = base == nullptr ? nullptr : static_cast<uint8_t*>(base) + patch.offset;
  }
}

}  // namespace hidet
