#include "hidet_core/emulator/driver/driver.h"

#include <algorithm>
#include <utility>

namespace hidet::emu {

State::State(uint32_t seed) : machine{&memory, &shadow, &block, seed, false}, queues(&machine) {
  default_pool = std::make_shared<Pool>();
  pools.Add(default_pool);
}

const std::shared_ptr<Stream>& State::StreamOf(CUstream handle) {
  if (handle == nullptr || handle == CU_STREAM_LEGACY) return queues.legacy();
  if (handle != CU_STREAM_PER_THREAD) return streams.Get(handle);
  if (per_thread == nullptr) per_thread = queues.NewStream(true);
  return per_thread;
}

void State::Submit(CUstream handle, Operation operation) {
  Stream& stream = *StreamOf(handle);
  if (stream.capture == nullptr) {
    if (&stream == queues.legacy().get()) {
      for (const auto& capture : captures) {
        if (!capture->blocking) continue;
        capture->invalid = true;
        throw Fault{CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,
                    "work for the legacy default stream while a stream that depends on it is "
                    "captured"};
      }
    }
    CheckRanges(operation, memory);
    queues.Submit(stream, std::move(operation));
    return;
  }
  if (stream.capture->invalid) {
    throw Fault{CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "the capture was invalidated before"};
  }
  if (std::holds_alternative<FreeMemory>(operation)) {
    stream.capture->invalid = true;
    throw Fault{CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "the emulator captures no frees"};
  }
  const CUgraphNodeType type = NodeType(operation);
  const auto* launch = std::get_if<Launch>(&operation);
  const bool programmatic = launch != nullptr && launch->programmatic;
  GraphNode* node =
      stream.capture->graph->Add(type, std::move(operation), stream.capture_tail);
  for (GraphNode* before : stream.capture_tail) {
    if (programmatic && before->type == CU_GRAPH_NODE_TYPE_KERNEL) {
      node->early_after.push_back(before);
    }
  }
  stream.capture_tail = {node};
}

void State::RequireNoCapture(const char* call) {
  for (const auto& capture : captures) {
    if (capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
    capture->invalid = true;
    throw Fault{CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                Format("%s while a stream is captured", call)};
  }
}

size_t State::CountLive() const {
  return memory.CountLive() + contexts.all().size() + modules.all().size() + streams.all().size() +
         events.all().size() + graphs.all().size() + executables.all().size() +
         pools.all().size() - 1;  // the default pool is always there
}

bool State::IsActive(const std::shared_ptr<Capture>& capture) const {
  return std::find(captures.begin(), captures.end(), capture) != captures.end();
}

void State::EndCapture(std::shared_ptr<Capture> capture) {
  captures.erase(std::remove(captures.begin(), captures.end(), capture), captures.end());
  for (const auto& [stream, unused] : streams.all()) {
    if (stream->capture == capture) stream->capture.reset();
  }
  if (per_thread != nullptr && per_thread->capture == capture) per_thread->capture.reset();
}

Driver& Driver::Get() {
  static Driver* driver = new Driver;  // outlives every static destructor of the process
  return *driver;
}

void Driver::Reset(uint32_t seed) {
  state_ = std::make_unique<State>(seed);
}

}  // namespace hidet::emu
