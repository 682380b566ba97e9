// NumPy arrays, and arrays on a GPU, as inputs and outputs of a run.
//
// Threading: Run is called without the GIL; Output takes it for the moment of making an array.
#pragma once

#include <pybind11/numpy.h>

#include <vector>

#include "hidet_core/runtime/python/python_cuda.h"
#include "hidet_core/runtime/run_context.h"
#include "hidet_core/runtime/thread_pool.h"

namespace hidet::python {

// The element type of a NumPy dtype. Throws Error(kInvalidArgument) for one we have not.
DataType ToDataType(const pybind11::dtype& dtype);

// The NumPy dtype of an element type; bfloat16 and floats of 8 bits are those of ml_dtypes where it
// is installed, else uint16 and uint8.
pybind11::dtype ToNumpy(DataType type);

class ArrayContext : public RunContext {
 public:
  // `pool` may be null: one thread. The GIL must be held.
  ArrayContext(const pybind11::list& inputs, std::vector<DataType> output_types, ThreadPool* pool);

  // CudaArrays that take the outputs, instead of new NumPy arrays.
  void UseOutputs(const pybind11::list& outputs);

  TensorView Input(size_t index) override { return views_[index]; }
  OutputView Output(size_t index, const int64_t* dims, size_t rank) override;
  void ParallelFor(void (*function)(void*, size_t), size_t total, void* user) override;
  size_t Threads() const override { return pool_ == nullptr ? 1 : pool_->threads(); }

  void UseStream(void* stream) { stream_ = stream; }
  void* Stream() override { return stream_; }

  // The outputs of the run. The GIL must be held.
  pybind11::list TakeOutputs();

 private:
  std::vector<pybind11::object> inputs_;  // contiguous
  std::vector<std::vector<int64_t>> shapes_;
  std::vector<TensorView> views_;
  std::vector<DataType> output_types_;
  std::vector<pybind11::object> outputs_;
  ThreadPool* pool_;
  void* stream_ = nullptr;
};

}  // namespace hidet::python
