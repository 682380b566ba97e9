// GPUs, for Python: what devices there are, arrays in their memory, kernels called one by one.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <vector>

#include "hidet_core/runtime/cuda/memory_pool.h"
#include "hidet_core/runtime/data_type.h"

namespace hidet::python {

// A contiguous array in the memory of a GPU. Holds the device. Threading: as a plain buffer.
class CudaArray {
 public:
  CudaArray(std::shared_ptr<cuda::MemoryPool> memory, DataType dtype, std::vector<int64_t> shape,
            size_t offset = 0);
  ~CudaArray();
  CudaArray(const CudaArray&) = delete;
  CudaArray& operator=(const CudaArray&) = delete;

  void* data() const { return data_; }
  DataType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  size_t bytes() const { return bytes_; }

  // Wait for the copy, not for kernels of other streams.
  void Fill(const pybind11::array& array);
  pybind11::array ToNumpy() const;

 private:
  std::shared_ptr<cuda::MemoryPool> memory_;
  DataType dtype_;
  std::vector<int64_t> shape_;
  size_t bytes_;
  uint8_t* allocation_ = nullptr;
  uint8_t* data_ = nullptr;
};

void DefineCuda(pybind11::module_& module);

}  // namespace hidet::python
