// Streams and events.
#include <algorithm>
#include <cmath>
#include <limits>

#include "hidet_core/emulator/driver/api.h"

namespace hidet::emu {
namespace {

// A stream that is captured cannot be waited for.
Stream& Waitable(State& state, CUstream handle, const char* call) {
  Stream& stream = *state.StreamOf(handle);
  if (stream.capture != nullptr) {
    stream.capture->invalid = true;
    throw Fault{CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                Format("%s of a stream that is captured", call)};
  }
  state.RequireNoCapture(call);
  return stream;
}

Event& Waitable(State& state, CUevent handle) {
  Event& event = *state.events.Get(handle);
  if (event.capture != nullptr) {
    throw Fault{CUDA_ERROR_CAPTURED_EVENT, "the event was recorded into a capture"};
  }
  return event;
}

void RequireReady(bool ready, const char* what) {
  if (!ready) throw Fault{CUDA_ERROR_NOT_READY, Format("%s has not been reached", what)};
}

// A stream that waits for an event of a capture becomes part of the capture.
void JoinCapture(const State& state, Stream& stream, const Event& event) {
  if (!state.IsActive(event.capture)) {
    throw Fault{CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "the event belongs to a capture that ended"};
  }
  if (stream.capture == nullptr) {
    if (event.capture->invalid) {
      throw Fault{CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "the capture was invalidated"};
    }
    stream.capture = event.capture;
    stream.capture_tail.clear();
  }
  if (stream.capture != event.capture) {
    stream.capture->invalid = event.capture->invalid = true;
    throw Fault{CUDA_ERROR_STREAM_CAPTURE_MERGE, "the event belongs to another capture"};
  }
  auto& tail = stream.capture_tail;
  for (GraphNode* node : event.nodes) {
    if (std::find(tail.begin(), tail.end(), node) == tail.end()) tail.push_back(node);
  }
}

CUresult NewStream(CUstream* stream, unsigned flags) {
  return Enter([&](State& state) {
    RequireArgument(stream, "stream");
    if ((flags & ~CU_STREAM_NON_BLOCKING) != 0) {
      throw Fault{CUDA_ERROR_INVALID_VALUE, Format("stream flags %#x", flags)};
    }
    const bool blocking = (flags & CU_STREAM_NON_BLOCKING) == 0;
    *stream = state.streams.Add(state.queues.NewStream(blocking));
  });
}

CUresult ElapsedTime(float* time_ms, CUevent start, CUevent end) {
  return Enter([&](State& state) {
    RequireArgument(time_ms, "time_ms");
    const Event& from = Waitable(state, start);
    const Event& to = Waitable(state, end);
    if (!from.timed || !to.timed || from.time_ms == nullptr || to.time_ms == nullptr) {
      throw Fault{CUDA_ERROR_INVALID_HANDLE, "an event that was not recorded or keeps no time"};
    }
    RequireReady(!std::isnan(*from.time_ms) && !std::isnan(*to.time_ms), "one of the events");
    *time_ms = static_cast<float>(*to.time_ms - *from.time_ms);
  });
}

}  // namespace

HIDET_EMU_API cuStreamCreate(CUstream* stream, unsigned flags) { return NewStream(stream, flags); }

HIDET_EMU_API cuStreamCreateWithPriority(CUstream* stream, unsigned flags, int) {
  return NewStream(stream, flags);
}

HIDET_EMU_API cuStreamDestroy_v2(CUstream stream) {
  return Enter([&](State& state) {
    const std::shared_ptr<Stream> held = state.streams.Get(stream);
    const bool began_here = held->capture != nullptr && held->capture->origin == held->id;
    if (began_here) state.EndCapture(held->capture);
    state.streams.Remove(stream);
  });
}

HIDET_EMU_API cuStreamSynchronize(CUstream stream) {
  return Enter([&](State& state) {
    state.queues.Wait(Waitable(state, stream, "cuStreamSynchronize").tail);
  });
}

HIDET_EMU_API cuStreamQuery(CUstream stream) {
  return Enter([&](State& state) {
    const Order tail = Waitable(state, stream, "cuStreamQuery").tail;
    RequireReady(state.queues.Poll(tail), "the end of the stream");
  });
}

HIDET_EMU_API cuStreamGetFlags(CUstream stream, unsigned* flags) {
  return Enter([&](State& state) {
    RequireArgument(flags, "flags");
    *flags = state.StreamOf(stream)->blocking ? 0u : 1u;
  });
}

HIDET_EMU_API cuStreamWaitEvent(CUstream handle, CUevent event_handle, unsigned) {
  return Enter([&](State& state) {
    Stream& stream = *state.StreamOf(handle);
    const Event& event = *state.events.Get(event_handle);
    if (event.capture != nullptr) return JoinCapture(state, stream, event);
    if (stream.capture != nullptr) {
      stream.capture->invalid = true;
      throw Fault{CUDA_ERROR_STREAM_CAPTURE_ISOLATION,
                  "a captured stream waits for an event from outside of the capture"};
    }
    stream.tail.Join(event.order);
    stream.early.reset();
  });
}

HIDET_EMU_API cuLaunchHostFunc(CUstream stream, CUhostFn function, void* data) {
  return Enter([&](State& state) {
    if (function == nullptr) throw Fault{CUDA_ERROR_INVALID_VALUE, "the function is null"};
    state.Submit(stream, HostCall{function, data});
  });
}

HIDET_EMU_API cuEventCreate(CUevent* event, unsigned flags) {
  return Enter([&](State& state) {
    RequireArgument(event, "event");
    auto made = std::make_shared<Event>();
    made->timed = (flags & CU_EVENT_DISABLE_TIMING) == 0;
    *event = state.events.Add(std::move(made));
  });
}

HIDET_EMU_API cuEventDestroy_v2(CUevent event) {
  return Enter([&](State& state) { state.events.Remove(event); });
}

HIDET_EMU_API cuEventRecord(CUevent event_handle, CUstream handle) {
  return Enter([&](State& state) {
    Event& event = *state.events.Get(event_handle);
    Stream& stream = *state.StreamOf(handle);
    event.capture = stream.capture;
    if (stream.capture != nullptr) {
      event.nodes = stream.capture_tail;
      return;
    }
    event.time_ms = std::make_shared<double>(std::numeric_limits<double>::quiet_NaN());
    state.Submit(handle, RecordTime{event.time_ms});
    event.order = stream.tail;
  });
}

HIDET_EMU_API cuEventQuery(CUevent event) {
  return Enter([&](State& state) {
    const Order order = Waitable(state, event).order;
    RequireReady(state.queues.Poll(order), "the event");
  });
}

HIDET_EMU_API cuEventSynchronize(CUevent event) {
  return Enter([&](State& state) {
    state.RequireNoCapture("cuEventSynchronize");
    state.queues.Wait(Waitable(state, event).order);
  });
}

HIDET_EMU_API cuEventElapsedTime(float* time_ms, CUevent start, CUevent end) {
  return ElapsedTime(time_ms, start, end);
}

HIDET_EMU_API cuEventElapsedTime_v2(float* time_ms, CUevent start, CUevent end) {
  return ElapsedTime(time_ms, start, end);
}

}  // namespace hidet::emu
