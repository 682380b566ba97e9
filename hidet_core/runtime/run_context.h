// What a host (the ONNX Runtime plugin, the Python module) gives to one run of an executable.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hidet_core/runtime/data_type.h"

namespace hidet {

// Where a plan runs; the numbers are part of the file format.
enum class DeviceKind : uint8_t { kCpu = 0, kCuda = 1 };

// Whose memory an address is of.
enum class Place : uint8_t { kHost = 0, kCuda = 1 };

// A contiguous row-major tensor of the caller; data may be null where a dim is zero. kCuda: on the
// device of the executable.
struct TensorView {
  const void* data;
  const int64_t* shape;
  size_t rank;
  DataType dtype;
  Place place = Place::kHost;
};

struct OutputView {
  void* data;
  Place place = Place::kHost;
};

// The threads of a host. Both methods are called on the thread that called Run.
class Workers {
 public:
  virtual ~Workers() = default;

  // Calls function(user, i) once for each i < total, on any threads, and returns when all are done.
  virtual void ParallelFor(void (*function)(void* user, size_t index), size_t total,
                           void* user) = 0;
  // How many threads ParallelFor uses, >= 1.
  virtual size_t Threads() const = 0;
};

// Ownership: the host's; pointers it returns stay valid until Run returns, and memory of a device
// until the work that Run put in the stream is done. Threading: all methods are called on the
// thread that called Run. They may throw; Run passes the exception on.
class RunContext : public Workers {
 public:
  // Each input is asked for once.
  virtual TensorView Input(size_t index) = 0;
  // Memory for an output of this shape, which the kernels fill. Each output is asked for once.
  virtual OutputView Output(size_t index, const int64_t* dims, size_t rank) = 0;
  // For a CUDA executable: the CUstream to run in. Tensors of the device are ready in its order,
  // and Run does not wait for its work (but for outputs in host memory). Null: that of the
  // DeviceOptions; if there is none either, a stream of the executable's own: then Run waits, and
  // inputs on the device must be ready before it is called.
  virtual void* Stream() { return nullptr; }
};

}  // namespace hidet
