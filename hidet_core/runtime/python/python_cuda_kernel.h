// CUDA kernels called one by one: for users' kernels, tuning and benchmarks.
#pragma once

#include <pybind11/pybind11.h>

namespace hidet::python {

// Adds CudaKernel to the module.
void DefineCudaKernel(pybind11::module_& module);

}  // namespace hidet::python
