// Python module hidet_core._runtime: plans, kernel images and kernels, run on NumPy arrays.
//
// hidet::Error becomes ValueError (kInvalidArgument) or hidet_core._runtime.Error. The GIL is
// released while kernels run. Executables and modules may be used from several threads.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hidet_core/runtime/executable.h"
#include "hidet_core/runtime/module.h"
#include "hidet_core/runtime/python/python_context.h"
#include "hidet_core/runtime/python/python_cuda.h"
#include "hidet_core/runtime/python/python_kernels.h"

namespace py = pybind11;

namespace hidet::python {
namespace {

// Contiguous arrays and other buffers given as constants, held while the plan copies them.
class Constants {
 public:
  explicit Constants(const py::list& items) {
    for (const py::handle& item : items) {
      const auto array = py::array::ensure(item, py::array::c_style);
      if (!array) throw py::error_already_set();
      arrays_.push_back(array);
      views_.push_back({array.data(), static_cast<size_t>(array.nbytes())});
    }
  }

  const std::vector<ConstantView>& views() const { return views_; }

 private:
  std::vector<py::array> arrays_;
  std::vector<ConstantView> views_;
};

class PyExecutable {
 public:
  PyExecutable(std::string_view plan, const py::list& items, const DeviceOptions& options,
               ThreadPools& pools)
      : pools_(pools) {
    const Constants constants(items);
    const auto* bytes = reinterpret_cast<const uint8_t*>(plan.data());
    const py::gil_scoped_release release;
    executable_ = Executable::Load(bytes, plan.size(), constants.views().data(),
                                   constants.views().size(), options);
  }

  ~PyExecutable() {
    const py::gil_scoped_release release;  // waits for the device
    executable_.reset();
  }

  py::list Run(const py::list& inputs, size_t threads, const std::optional<py::list>& outputs,
               uintptr_t stream) const {
    ArrayContext context = MakeContext(inputs, threads);
    if (outputs) context.UseOutputs(*outputs);
    context.UseStream(reinterpret_cast<void*>(stream));
    {
      const py::gil_scoped_release release;
      executable_->Run(context);
    }
    return context.TakeOutputs();
  }

  py::list Profile(const py::list& inputs, size_t threads) const {
    ArrayContext context = MakeContext(inputs, threads);
    std::vector<LaunchRecord> records;
    {
      const py::gil_scoped_release release;
      records = executable_->Profile(context);
    }
    py::list result;
    for (const LaunchRecord& each : records) {
      result.append(py::make_tuple(each.name, each.tasks, each.pieces,
                                   static_cast<double>(each.nanoseconds) * 1e-9));
    }
    return result;
  }

  const Executable& executable() const { return *executable_; }

 private:
  ArrayContext MakeContext(const py::list& inputs, size_t threads) const {
    const size_t expected = executable_->inputs().size();
    if (inputs.size() != expected) {
      Fail(ErrorCode::kInvalidArgument, "'%s': expected %zu inputs, got %zu",
           executable_->name().c_str(), expected, inputs.size());
    }
    if (threads == 0) Fail(ErrorCode::kInvalidArgument, "threads: expected >= 1, got 0");
    std::vector<DataType> types;
    for (const TensorInfo& output : executable_->outputs()) types.push_back(output.dtype);
    return ArrayContext(inputs, std::move(types), threads == 1 ? nullptr : &pools_.Get(threads));
  }

  ThreadPools& pools_;
  std::unique_ptr<Executable> executable_;
};

py::list Names(const std::vector<TensorInfo>& tensors) {
  py::list names;
  for (const TensorInfo& tensor : tensors) names.append(tensor.name);
  return names;
}

void DefineErrors(py::module_& module) {
  py::register_exception<Error>(module, "Error", PyExc_RuntimeError);
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& caught) {
      if (caught.code() != ErrorCode::kInvalidArgument) throw;  // to the translator above
      PyErr_SetString(PyExc_ValueError, caught.what());
    }
  });
}

void DefineExecutable(py::module_& module, ThreadPools& pools) {
  py::class_<PyExecutable>(module, "Executable", "A plan ready to run on its device.")
      .def(py::init([&pools](const py::bytes& plan, const py::list& constants, int device_id,
                             std::optional<size_t> memory_limit, bool use_graph) {
             DeviceOptions options;
             options.device_id = device_id;
             options.memory_limit = memory_limit.value_or(SIZE_MAX);
             options.use_graph = use_graph;
             return std::make_unique<PyExecutable>(plan, constants, options, pools);
           }),
           py::arg("plan"), py::arg("constants"), py::arg("device_id") = 0,
           py::arg("memory_limit") = py::none(), py::arg("use_graph") = true)
      .def("run", &PyExecutable::Run, py::arg("inputs"), py::arg("threads") = 1,
           py::arg("outputs") = py::none(), py::arg("stream") = 0,
           "The outputs for these inputs, in the plan's order. A plan for a GPU takes NumPy arrays "
           "and CudaArrays; outputs: CudaArrays for the results; stream: a CUstream to run in.")
      .def("profile", &PyExecutable::Profile, py::arg("inputs"), py::arg("threads") = 1,
           "Run once; (name, tasks, pieces, seconds) of every launch that had tasks.")
      .def_property_readonly("name",
                             [](const PyExecutable& self) { return self.executable().name(); })
      .def_property_readonly(
          "inputs", [](const PyExecutable& self) { return Names(self.executable().inputs()); })
      .def_property_readonly(
          "outputs", [](const PyExecutable& self) { return Names(self.executable().outputs()); })
      .def_property_readonly(
          "constant_bytes",
          [](const PyExecutable& self) { return self.executable().constant_bytes(); })
      .def_property_readonly(
          "arena_bytes", [](const PyExecutable& self) { return self.executable().arena_bytes(); })
      .def_property_readonly("device", [](const PyExecutable& self) {
        return self.executable().device() == DeviceKind::kCuda ? "cuda" : "cpu";
      });
}

void DefineModule(py::module_& module) {
  py::class_<Module>(module, "Module",
                     "Machine code of one kernel image. Keep it while it is used.")
      .def(py::init([](const py::bytes& image) {
             const std::string_view view = image;
             const auto* data = reinterpret_cast<const uint8_t*>(view.data());
             return std::make_unique<Module>(ByteSpan{data, view.size()});
           }),
           py::arg("image"))
      .def(
          "address",
          [](const Module& self, const std::string& symbol) {
            return reinterpret_cast<uintptr_t>(self.Find(symbol));
          },
          py::arg("symbol"), "The address of a function of the image.");
}

}  // namespace
}  // namespace hidet::python

PYBIND11_MODULE(_runtime, module) {
  module.doc() = "The native runtime of HidetEP: plans, kernel images and kernels.";
  // Never freed: the workers sleep until the process ends. Joining them when the interpreter shuts
  // down would hang in a forked child, which has no workers.
  auto& pools = *new hidet::ThreadPools;
  hidet::python::DefineErrors(module);
  hidet::python::DefineExecutable(module, pools);
  hidet::python::DefineModule(module);
  hidet::python::DefineKernelFunctions(module, pools);
  hidet::python::DefineCuda(module);
}
