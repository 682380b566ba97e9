// Kernels called one by one on NumPy arrays: for users' kernels, tuning and benchmarks.
#pragma once

#include <pybind11/pybind11.h>

#include "hidet_core/runtime/thread_pool.h"

namespace hidet::python {

// Adds launch, measure and plan_offsets to the module. `pools` outlives it.
void DefineKernelFunctions(pybind11::module_& module, ThreadPools& pools);

}  // namespace hidet::python
