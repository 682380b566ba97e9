// GPUs, for Python: what devices there are.
#pragma once

#include <pybind11/pybind11.h>

namespace hidet::python {

void DefineCuda(pybind11::module_& module);

}  // namespace hidet::python
