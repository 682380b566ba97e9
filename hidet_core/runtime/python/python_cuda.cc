#include "hidet_core/runtime/python/python_cuda.h"

#include <pybind11/stl.h>

#include "hidet_core/runtime/cuda/device.h"
#include "hidet_core/runtime/error.h"
#include "hidet_core/runtime/python/python_context.h"
#include "hidet_core/runtime/python/python_cuda_kernel.h"

namespace py = pybind11;

namespace hidet::python {
namespace {

py::dict DeviceFacts(int ordinal) {
  const cuda::DeviceInfo info = cuda::QueryDevice(ordinal);
  // data is transferred at both edges of the clock
  const double bandwidth = info.memory_clock_khz * 1e3 * info.memory_bus_bits / 8 * 2;
  using namespace py::literals;
  return py::dict(
      "name"_a = info.name,
      "compute_capability"_a = py::make_tuple(info.compute_major, info.compute_minor),
      "multiprocessors"_a = info.multiprocessors, "clock_khz"_a = info.clock_khz,
      "memory_bytes_per_second"_a = bandwidth, "memory_bytes"_a = info.memory_bytes,
      "l2_bytes"_a = info.l2_bytes, "shared_bytes_per_block"_a = info.shared_bytes_per_block_optin,
      "shared_bytes_per_multiprocessor"_a = info.shared_bytes_per_multiprocessor,
      "threads_per_multiprocessor"_a = info.threads_per_multiprocessor,
      "blocks_per_multiprocessor"_a = info.blocks_per_multiprocessor,
      "registers_per_multiprocessor"_a = info.registers_per_multiprocessor,
      "pci"_a = py::make_tuple(info.pci_domain, info.pci_bus, info.pci_device),
      "driver_version"_a = py::make_tuple(info.driver_version / 1000,
                                          info.driver_version % 1000 / 10),
      "emulated"_a = info.emulated);
}

std::shared_ptr<cuda::MemoryPool> MemoryOf(int device_id) {
  return std::make_shared<cuda::MemoryPool>(cuda::Device::Get(device_id), SIZE_MAX);
}

// A stream for one copy.
class Stream {
 public:
  explicit Stream(cuda::Device& device) : device_(device), stream_(device.CreateStream()) {}
  ~Stream() { device_.DestroyStream(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator CUstream() const { return stream_; }

 private:
  cuda::Device& device_;
  CUstream stream_;
};

}  // namespace

CudaArray::CudaArray(std::shared_ptr<cuda::MemoryPool> memory, DataType dtype,
                     std::vector<int64_t> shape, size_t offset)
    : memory_(std::move(memory)),
      dtype_(dtype),
      shape_(std::move(shape)),
      bytes_(Info(dtype).bytes) {
  for (const int64_t dim : shape_) bytes_ *= static_cast<size_t>(dim);
  if (bytes_ == 0) return;
  allocation_ = static_cast<uint8_t*>(memory_->Allocate(offset + bytes_, nullptr));
  data_ = allocation_ + offset;
}

CudaArray::~CudaArray() { memory_->Free(allocation_, nullptr); }

void CudaArray::Fill(const py::array& array) {
  const auto whole = py::array::ensure(array, py::array::c_style);
  if (!whole || static_cast<size_t>(whole.nbytes()) != bytes_) {
    Fail(ErrorCode::kInvalidArgument, "a CUDA array of %zu bytes cannot take %zu bytes", bytes_,
         static_cast<size_t>(array.nbytes()));
  }
  cuda::Device& device = *memory_->device();
  const Stream stream(device);
  device.Copy(data_, Place::kCuda, whole.data(), Place::kHost, bytes_, stream);
  device.Synchronize(stream);
}

py::array CudaArray::ToNumpy() const {
  py::array array(python::ToNumpy(dtype_), std::vector<py::ssize_t>(shape_.begin(), shape_.end()));
  cuda::Device& device = *memory_->device();
  const Stream stream(device);
  device.Copy(array.mutable_data(), Place::kHost, data_, Place::kCuda, bytes_, stream);
  device.Synchronize(stream);
  return array;
}

void DefineCuda(py::module_& module) {
  module.def("cuda_device_count", &cuda::DeviceCount,
             "How many GPUs the CUDA driver has. Raises Error where there is no driver.");
  module.def("cuda_device", &DeviceFacts, py::arg("ordinal") = 0,
             "What the CUDA driver says of a GPU: sizes in bytes, clocks in kHz.");
  py::class_<CudaArray>(module, "CudaArray", "A contiguous array in the memory of a GPU.")
      .def(py::init([](const py::array& array, int device_id, size_t offset) {
             const std::vector<int64_t> shape(array.shape(), array.shape() + array.ndim());
             auto made = std::make_unique<CudaArray>(MemoryOf(device_id),
                                                     ToDataType(array.dtype()), shape, offset);
             made->Fill(array);
             return made;
           }),
           py::arg("array"), py::arg("device_id") = 0, py::arg("offset") = 0,
           "A copy of a NumPy array, `offset` bytes behind the start of an allocation.")
      .def("fill", &CudaArray::Fill, py::arg("array"), "Copy a NumPy array of as many bytes.")
      .def("numpy", &CudaArray::ToNumpy, "A copy in the memory of the host.")
      .def_property_readonly(
          "address",
          [](const CudaArray& self) { return reinterpret_cast<uintptr_t>(self.data()); })
      .def_property_readonly("nbytes", &CudaArray::bytes)
      .def_property_readonly(
          "shape", [](const CudaArray& self) { return py::tuple(py::cast(self.shape())); })
      .def_property_readonly("dtype", [](const CudaArray& self) { return ToNumpy(self.dtype()); });
  DefineCudaKernel(module);
}

}  // namespace hidet::python
