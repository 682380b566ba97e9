#include "hidet_core/runtime/python/python_cuda.h"

#include "hidet_core/runtime/cuda/device.h"

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
      "memory_bytes_per_second"_a = bandwidth,
      "memory_bytes"_a = info.memory_bytes, "l2_bytes"_a = info.l2_bytes,
      "shared_bytes_per_block"_a = info.shared_bytes_per_block_optin,
      "shared_bytes_per_multiprocessor"_a = info.shared_bytes_per_multiprocessor,
      "threads_per_multiprocessor"_a = info.threads_per_multiprocessor,
      "blocks_per_multiprocessor"_a = info.blocks_per_multiprocessor,
      "registers_per_multiprocessor"_a = info.registers_per_multiprocessor,
      "pci"_a = py::make_tuple(info.pci_domain, info.pci_bus, info.pci_device),
      "driver_version"_a = py::make_tuple(info.driver_version / 1000,
                                          info.driver_version % 1000 / 10),
      "emulated"_a = info.emulated);
}

}  // namespace

void DefineCuda(py::module_& module) {
  module.def("cuda_device_count", &cuda::DeviceCount,
             "How many GPUs the CUDA driver has. Raises Error where there is no driver.");
  module.def("cuda_device", &DeviceFacts, py::arg("ordinal") = 0,
             "What the CUDA driver says of a GPU: sizes in bytes, clocks in kHz.");
}

}  // namespace hidet::python
