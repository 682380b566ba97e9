#include "hidet_core/runtime/cuda/frame.h"

#include <algorithm>

namespace hidet::cuda {

Frame::Frame(const LoadedPlan& loaded)
    : loaded_(loaded), plan_(loaded.data()), device_(loaded.device()), binding_(loaded.data()) {
  const size_t inputs = plan_.inputs.size();
  staged_.resize(inputs + plan_.outputs.size());
  for (const TensorSpec& spec : plan_.inputs) {
    alignments_.push_back(static_cast<uint32_t>(Info(spec.dtype).bytes));
  }
  for (const TensorSpec& spec : plan_.outputs) {
    alignments_.push_back(static_cast<uint32_t>(Info(spec.dtype).bytes));
  }
  for (const BufferSpec& buffer : plan_.buffers) {
    if (!IsCallers(buffer.kind)) continue;
    const size_t tensor = buffer.kind == BufferKind::kInput ? buffer.index : inputs + buffer.index;
    alignments_[tensor] = std::max(alignments_[tensor], buffer.alignment);
  }
  prepared_.reserve(kMostPrepared);
  if (plan_.symbols.empty()) binding_.Evaluate();  // impossible sizes fail now, not at run time
  done_ = device_.CreateEvent(false);
}

Frame::~Frame() {
  try {
    Wait();
  } catch (const std::exception&) {
    // the device is gone: nothing runs
  }
  prepared_.clear();
  loaded_.memory().Free(arena_, nullptr);
  for (const CUevent timer : timers_) device_.DestroyEvent(timer);
  device_.DestroyEvent(done_);
  if (own_stream_ != nullptr) device_.DestroyStream(own_stream_);
}

void Frame::Run(RunContext& context, std::vector<LaunchRecord>* records) {
  const Device::Scope scope(device_);
  const bool changed = binding_.BindInputs(context);
  is_evaluated_ = is_evaluated_ && !changed;
  if (!is_evaluated_) binding_.Evaluate();
  is_evaluated_ = true;
  binding_.CheckInputs();
  ChooseStream(context);
  binding_.BindOutputs(context);
  FindStaged();
  Prepared& prepared = FindPrepared();
  PlaceArena(prepared);
  prepared.PatchCallers(binding_);
  FollowLastRun();
  is_pending_ = true;
  is_captured_ = is_captured_ || is_capturing_;
  try {
    Enqueue(prepared, records);
    Finish();
  } catch (const Error& error) {
    Abandon(error);
  }
}

// After an error: nothing may use the caller's tensors when the run is over.
void Frame::Abandon(const Error& error) {
  last_ = nullptr;  // the zeros of the arena may be gone
  if (!is_capturing_) {
    device_.functions().StreamSynchronize(stream_);
    is_pending_ = false;
  }
  const bool can_tell = device_.info().emulated || loaded_.is_synchronous();
  const char* hint =
      device_.is_broken() && !can_tell ? " (HIDET_CUDA_SYNC=1 tells which kernel it was)" : "";
  throw Error(error.code(), "run of '" + plan_.name + "': " + error.what() + hint);
}

void Frame::ChooseStream(RunContext& context) {
  stream_ = static_cast<CUstream>(context.Stream());
  if (stream_ == nullptr) stream_ = loaded_.stream();
  if (stream_ == nullptr) {
    if (own_stream_ == nullptr) own_stream_ = device_.CreateStream();
    stream_ = own_stream_;
  }
  is_capturing_ = stream_ != own_stream_ && device_.IsCapturing(stream_);
}

void Frame::FindStaged() {
  has_host_tensors_ = false;
  for (size_t i = 0; i < plan_.inputs.size(); ++i) {
    const TensorView& view = binding_.inputs()[i];
    staged_[i] = MustStage(view.data, view.place, plan_.inputs[i].name.c_str(), alignments_[i]);
    has_host_tensors_ |= view.place == hidet::Place::kHost;
  }
  for (size_t i = 0; i < plan_.outputs.size(); ++i) {
    const OutputView& view = binding_.outputs()[i];
    const size_t tensor = plan_.inputs.size() + i;
    staged_[tensor] =
        MustStage(view.data, view.place, plan_.outputs[i].name.c_str(), alignments_[tensor]);
    has_host_tensors_ |= view.place == hidet::Place::kHost;
  }
}

bool Frame::MustStage(const void* data, hidet::Place place, const char* name,
                      uint32_t alignment) const {
  if (place == hidet::Place::kCuda) return Address(data) % alignment != 0;
  if (is_capturing_) {
    Fail(ErrorCode::kInvalidArgument,
         "tensor '%s' is in memory of the host, in a run that is captured into a CUDA graph", name);
  }
  return true;
}

Prepared& Frame::FindPrepared() {
  ++runs_;
  const auto found = std::find_if(prepared_.begin(), prepared_.end(), [&](const auto& each) {
    return each->Fits(binding_.symbols(), staged_);
  });
  if (found == prepared_.end()) {
    if (prepared_.size() == kMostPrepared) MakeRoom();
    prepared_.push_back(std::make_unique<Prepared>(loaded_, binding_, staged_));
    prepared_.back()->PlaceArena(arena_);
  }
  Prepared& prepared = found == prepared_.end() ? *prepared_.back() : **found;
  ++prepared.uses;
  prepared.last_use = runs_;
  return prepared;
}

// Drops what was not used for the longest time.
void Frame::MakeRoom() {
  const auto oldest = std::min_element(
      prepared_.begin(), prepared_.end(),
      [](const auto& left, const auto& right) { return left->last_use < right->last_use; });
  if (!is_capturing_) Wait();
  if (last_ == oldest->get()) last_ = nullptr;
  prepared_.erase(oldest);
}

void Frame::PlaceArena(Prepared& prepared) {
  const size_t need = prepared.arena_bytes();
  if (need <= arena_bytes_) return;
  if (is_capturing_) {
    Fail(ErrorCode::kInvalidArgument,
         "a run of '%s' is captured into a CUDA graph, but no run with these sizes came before",
         plan_.name.c_str());
  }
  Wait();
  const size_t bytes = WithSlack(need, arena_bytes_);
  loaded_.memory().Free(arena_, nullptr);  // the old one first: not both at a time
  arena_ = nullptr;
  arena_bytes_ = 0;
  last_ = nullptr;
  // graphs of the old arena are of no use
  prepared_.erase(std::remove_if(prepared_.begin(), prepared_.end(),
                                 [&](const auto& each) { return each.get() != &prepared; }),
                  prepared_.end());
  arena_ = static_cast<uint8_t*>(loaded_.memory().Allocate(bytes, stream_));
  arena_bytes_ = bytes;
  prepared.PlaceArena(arena_);
}

// The last run, which may not have ended, used the arena in another stream perhaps.
void Frame::FollowLastRun() {
  if (is_pending_ && last_stream_ != stream_) {
    if (is_capturing_) {
      Fail(ErrorCode::kInvalidArgument,
           "a run of '%s' is captured into a CUDA graph, but the run before is in another stream",
           plan_.name.c_str());
    }
    device_.Wait(stream_, done_);
  }
  last_stream_ = stream_;
}

// Until the last run has ended.
void Frame::Wait() {
  if (is_pending_) device_.Synchronize(done_);
  is_pending_ = false;
}

void Frame::Enqueue(Prepared& prepared, std::vector<LaunchRecord>* records) {
  if (last_ != &prepared) device_.Zero(arena_, prepared.zero_bytes(), stream_);
  last_ = &prepared;
  CopyInputs(prepared);
  // The graph of sizes that come once would cost more than it saves.
  const bool as_graph = loaded_.use_graph() && prepared.uses > 1 && prepared.launches() > 1 &&
                        !is_capturing_ && !loaded_.is_synchronous();
  if (records != nullptr && !is_capturing_) {
    LaunchTimed(prepared, *records);
  } else if (as_graph) {
    prepared.LaunchGraph(stream_);
  } else {
    LaunchAll(prepared);
  }
  CopyOutputs(prepared);
}

void Frame::CopyInputs(const Prepared& prepared) {
  for (size_t i = 0; i < plan_.inputs.size(); ++i) {
    const int64_t offset = prepared.staged_offset(i);
    if (staged_[i] == 0 || offset < 0) continue;
    const TensorView& view = binding_.inputs()[i];
    device_.Copy(arena_ + offset, hidet::Place::kCuda, view.data, view.place,
                 static_cast<size_t>(binding_.input_bytes()[i]), stream_);
  }
}

void Frame::CopyOutputs(const Prepared& prepared) {
  for (size_t i = 0; i < plan_.outputs.size(); ++i) {
    const size_t tensor = plan_.inputs.size() + i;
    const int64_t offset = prepared.staged_offset(tensor);
    if (staged_[tensor] == 0 || offset < 0) continue;
    const OutputView& view = binding_.outputs()[i];
    device_.Copy(view.data, view.place, arena_ + offset, hidet::Place::kCuda,
                 static_cast<size_t>(binding_.output_bytes()[i]), stream_);
  }
}

void Frame::LaunchAll(Prepared& prepared) {
  for (size_t i = 0; i < prepared.launches(); ++i) {
    prepared.Launch(i, stream_);
    if (!loaded_.is_synchronous() || is_capturing_) continue;
    const std::string what = "launch '" + prepared.spec(i).name + "'";
    device_.Check(device_.functions().StreamSynchronize(stream_), "cuStreamSynchronize",
                  what.c_str());
  }
}

void Frame::LaunchTimed(Prepared& prepared, std::vector<LaunchRecord>& records) {
  const size_t count = prepared.launches();
  while (timers_.size() <= count) timers_.push_back(device_.CreateEvent(true));
  device_.Record(timers_[0], stream_);
  for (size_t i = 0; i < count; ++i) {
    prepared.Launch(i, stream_);
    device_.Record(timers_[i + 1], stream_);
  }
  device_.Synchronize(timers_[count]);
  for (size_t i = 0; i < count; ++i) {
    const double milliseconds = device_.MillisecondsBetween(timers_[i], timers_[i + 1]);
    records.push_back({prepared.spec(i).name.c_str(), prepared.tasks(i), 1,
                       static_cast<int64_t>(milliseconds * 1e6)});
  }
}

// The caller's memory on the host must not be used after the run; without a stream of the caller,
// everything is done by then.
void Frame::Finish() {
  if (is_capturing_) {
    is_pending_ = false;  // the captured graph runs when the caller launches it
    return;
  }
  if (stream_ != own_stream_ && !has_host_tensors_) return device_.Record(done_, stream_);
  device_.Synchronize(stream_);
  is_pending_ = false;
}

}  // namespace hidet::cuda
