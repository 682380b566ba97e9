// The state behind the API: one device, its memory, modules, streams and graphs.
//
// Threading: one lock for everything, taken by Enter(), held while kernels run. It is recursive
// only so that a host function that calls the API gets NOT_PERMITTED instead of a deadlock.
// Lifetime: the driver is never destroyed; Reset() puts back the state before cuInit.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "hidet_core/emulator/driver/graph.h"
#include "hidet_core/emulator/driver/handles.h"
#include "hidet_core/emulator/driver/memory.h"
#include "hidet_core/emulator/driver/module.h"
#include "hidet_core/emulator/driver/queues.h"

namespace hidet::emu {

struct Context {
  bool primary;
};

struct Pool {
  uint64_t release_threshold = 0;
};

inline constexpr size_t kDeviceMemory = size_t{16} << 30;

struct State {
  explicit State(uint32_t seed);

  Memory memory{kDeviceMemory};
  GlobalShadow shadow;
  Block block;
  Machine machine;
  Queues queues;
  bool initialised = false;
  std::optional<Fault> poison;  // the first error of device code; ends the contexts' use
  unsigned primary_count = 0;
  std::shared_ptr<Context> primary;
  std::shared_ptr<Stream> per_thread;
  Handles<Context, CUcontext> contexts{"context"};
  Handles<Module, CUmodule> modules{"module"};
  Handles<Kernel, CUfunction> kernels{"function"};
  Handles<Stream, CUstream> streams{"stream"};
  Handles<Event, CUevent> events{"event"};
  Handles<Graph, CUgraph> graphs{"graph"};
  Handles<ExecutableGraph, CUgraphExec> executables{"executable graph"};
  Handles<Pool, CUmemoryPool> pools{"memory pool"};
  std::shared_ptr<Pool> default_pool;
  std::vector<std::shared_ptr<Capture>> captures;  // that are active

  // The stream of a handle, null and the two special ones included.
  const std::shared_ptr<Stream>& StreamOf(CUstream handle);

  // Adds the operation to the stream, or to the graph the stream is captured into.
  void Submit(CUstream handle, Operation operation);

  // Whether it has begun and not ended.
  bool IsActive(const std::shared_ptr<Capture>& capture) const;

  // All of its streams run again what is submitted to them. By value: it resets their pointers.
  void EndCapture(std::shared_ptr<Capture> capture);

  // What callers made and have not given back.
  size_t CountLive() const;

  // Throws STREAM_CAPTURE_UNSUPPORTED, and invalidates captures that forbid such a call.
  void RequireNoCapture(const char* call);
};

class Driver {
 public:
  static Driver& Get();

  std::recursive_mutex& lock() { return lock_; }
  State& state() { return *state_; }

  // Back to the state before cuInit, with this seed.
  void Reset(uint32_t seed);

 private:
  Driver() : state_(std::make_unique<State>(0)) {}

  std::recursive_mutex lock_;
  std::unique_ptr<State> state_;
};

}  // namespace hidet::emu
