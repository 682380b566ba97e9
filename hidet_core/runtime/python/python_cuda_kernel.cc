#include "hidet_core/runtime/python/python_cuda_kernel.h"

#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hidet_core/runtime/cuda/memory_pool.h"
#include "hidet_core/runtime/error.h"
#include "hidet_core/runtime/python/python_cuda.h"

namespace py = pybind11;

namespace hidet::python {
namespace {

constexpr uint32_t kSharedWithoutAsking = 48 * 1024;

// One kernel of an image, with a stream to run it in.
class CudaKernel {
 public:
  CudaKernel(std::string_view image, const std::string& symbol, unsigned threads,
             unsigned shared_bytes, int device_id)
      : device_(cuda::Device::Get(device_id)), threads_(threads), shared_bytes_(shared_bytes) {
    const cuda::Device::Scope scope(*device_);
    std::vector<uint64_t> aligned(image.size() / sizeof(uint64_t) + 1);
    image.copy(reinterpret_cast<char*>(aligned.data()), image.size());
    const cuda::DriverFunctions& f = device_->functions();
    Check(f.ModuleLoadData(&module_, aligned.data()), "cuModuleLoadData", symbol);
    try {
      Check(f.ModuleGetFunction(&function_, module_, symbol.c_str()), "cuModuleGetFunction",
            symbol);
      if (shared_bytes > kSharedWithoutAsking) {
        Check(f.FuncSetAttribute(function_, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                 static_cast<int>(shared_bytes)),
              "cuFuncSetAttribute", symbol);
      }
      stream_ = device_->CreateStream();
    } catch (...) {
      f.ModuleUnload(module_);
      throw;
    }
    name_ = symbol;
  }

  ~CudaKernel() {
    device_->DestroyStream(stream_);
    try {
      const cuda::Device::Scope scope(*device_);
      device_->functions().ModuleUnload(module_);
    } catch (const std::exception&) {
      // the device is gone, and the module with it
    }
  }
  CudaKernel(const CudaKernel&) = delete;
  CudaKernel& operator=(const CudaKernel&) = delete;

  struct Arguments {
    std::vector<uint64_t> values;
    std::vector<void*> addresses;
    unsigned blocks;
  };

  static Arguments Collect(const py::list& arrays, const std::vector<int64_t>& scalars,
                           int64_t tasks) {
    if (tasks < 0 || tasks > INT32_MAX) {
      Fail(ErrorCode::kInvalidArgument, "tasks: expected 0 to 2^31 - 1, got %lld",
           static_cast<long long>(tasks));
    }
    Arguments arguments{{}, {}, static_cast<unsigned>(tasks)};
    for (const py::handle& item : arrays) {
      const bool is_array = py::isinstance<CudaArray>(item);
      arguments.values.push_back(is_array ? cuda::Address(item.cast<const CudaArray&>().data())
                                          : item.cast<uint64_t>());
    }
    for (const int64_t scalar : scalars) arguments.values.push_back(static_cast<uint64_t>(scalar));
    for (uint64_t& value : arguments.values) arguments.addresses.push_back(&value);
    return arguments;
  }

  // Without the GIL, as the next ones.
  void Launch(Arguments& arguments) {
    const cuda::Device::Scope scope(*device_);
    Enqueue(arguments);
    Check(device_->functions().StreamSynchronize(stream_), "cuStreamSynchronize", name_);
  }

  // Seconds per launch, of `repeats` rounds of `launches` each.
  std::vector<double> Measure(Arguments& arguments, size_t repeats, size_t launches, bool flush) {
    const cuda::Device::Scope scope(*device_);
    cuda::MemoryPool memory(device_, SIZE_MAX);
    const size_t flushed = flush ? 2 * static_cast<size_t>(device_->info().l2_bytes) : 0;
    void* buffer = memory.Allocate(flushed, stream_);
    Event begin(*device_);
    Event end(*device_);
    std::vector<double> seconds;
    for (size_t round = 0; round < repeats; ++round) {
      device_->Zero(buffer, flushed, stream_);  // what was in the L2 cache is no longer
      device_->Record(begin.event, stream_);
      for (size_t i = 0; i < launches; ++i) Enqueue(arguments);
      device_->Record(end.event, stream_);
      Check(device_->functions().StreamSynchronize(stream_), "cuStreamSynchronize", name_);
      const double milliseconds = device_->MillisecondsBetween(begin.event, end.event);
      seconds.push_back(milliseconds * 1e-3 / static_cast<double>(launches));
    }
    memory.Free(buffer, nullptr);
    return seconds;
  }

  int Attribute(CUfunction_attribute which) const {
    const cuda::Device::Scope scope(*device_);
    int value = 0;
    Check(device_->functions().FuncGetAttribute(&value, which, function_), "cuFuncGetAttribute",
          name_);
    return value;
  }

 private:
  struct Event {
    explicit Event(cuda::Device& owner) : device(owner), event(owner.CreateEvent(true)) {}
    ~Event() { device.DestroyEvent(event); }
    cuda::Device& device;
    CUevent event;
  };

  void Enqueue(Arguments& arguments) {
    if (arguments.blocks == 0) return;
    CUlaunchConfig config{};
    config.gridDimX = arguments.blocks;
    config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
    config.blockDimX = threads_;
    config.sharedMemBytes = shared_bytes_;
    config.hStream = stream_;
    Check(device_->functions().LaunchKernelEx(&config, function_, arguments.addresses.data(),
                                              nullptr),
          "cuLaunchKernelEx", name_);
  }

  void Check(CUresult code, const char* call, const std::string& name) const {
    if (code != CUDA_SUCCESS) device_->Check(code, call, ("kernel '" + name + "'").c_str());
  }

  std::shared_ptr<cuda::Device> device_;
  std::string name_;
  unsigned threads_;
  unsigned shared_bytes_;
  CUmodule module_ = nullptr;
  CUfunction function_ = nullptr;
  CUstream stream_ = nullptr;
};

py::dict Attributes(const CudaKernel& kernel) {
  using namespace py::literals;
  return py::dict(
      "registers"_a = kernel.Attribute(CU_FUNC_ATTRIBUTE_NUM_REGS),
      "local_bytes"_a = kernel.Attribute(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES),
      "static_shared_bytes"_a = kernel.Attribute(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES),
      "max_threads"_a = kernel.Attribute(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
}

}  // namespace

void DefineCudaKernel(py::module_& module) {
  py::class_<CudaKernel>(module, "CudaKernel", "A kernel of an image, on a GPU.")
      .def(py::init([](const py::bytes& image, const std::string& symbol, unsigned threads,
                       unsigned shared_bytes, int device_id) {
             return std::make_unique<CudaKernel>(image, symbol, threads, shared_bytes, device_id);
           }),
           py::arg("image"), py::arg("symbol"), py::arg("threads"), py::arg("shared_bytes") = 0,
           py::arg("device_id") = 0, "threads and shared_bytes: of a block.")
      .def(
          "launch",
          [](CudaKernel& self, const py::list& arrays, const std::vector<int64_t>& scalars,
             int64_t tasks) {
            CudaKernel::Arguments arguments = CudaKernel::Collect(arrays, scalars, tasks);
            const py::gil_scoped_release release;
            self.Launch(arguments);
          },
          py::arg("arrays"), py::arg("scalars"), py::arg("tasks"),
          "Run it on CudaArrays or addresses, with a block per task, and wait for it.")
      .def(
          "measure",
          [](CudaKernel& self, const py::list& arrays, const std::vector<int64_t>& scalars,
             int64_t tasks, size_t repeats, size_t launches, bool flush) {
            CudaKernel::Arguments arguments = CudaKernel::Collect(arrays, scalars, tasks);
            const py::gil_scoped_release release;
            return self.Measure(arguments, repeats, launches, flush);
          },
          py::arg("arrays"), py::arg("scalars"), py::arg("tasks"), py::arg("repeats"),
          py::arg("launches") = 1, py::arg("flush") = false,
          "Seconds per launch in each of `repeats` rounds of `launches`, by the device's clock; "
          "flush: empty the L2 cache before a round.")
      .def_property_readonly("attributes", &Attributes);
}

}  // namespace hidet::python
