#include "hidet_core/runtime/python/python_kernels.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "hidet_core/runtime/error.h"
#include "hidet_core/runtime/planner.h"
#include "hidet_core/runtime/team.h"

namespace py = pybind11;

namespace hidet::python {
namespace {

// Of the tasks of a kernel that is measured alone: so long that threads take single tasks.
constexpr double kUnknownWorkNs = 1e4;

class PoolWorkers : public Workers {
 public:
  explicit PoolWorkers(ThreadPool* pool) : pool_(pool) {}

  void ParallelFor(void (*function)(void*, size_t), size_t total, void* user) override {
    pool_->ParallelFor(function, total, user);
  }

  size_t Threads() const override { return pool_ == nullptr ? 1 : pool_->threads(); }

 private:
  ThreadPool* pool_;
};

// A kernel call with the memory for its arguments.
class Launch {
 public:
  // arrays: NumPy arrays (C-contiguous, used in place) or integer addresses.
  Launch(uintptr_t address, const py::list& arrays, std::vector<int64_t> scalars, int64_t tasks,
         size_t workspace_bytes, ThreadPool* pool)
      : scalars_(std::move(scalars)), workers_(pool) {
    if (address == 0) Fail(ErrorCode::kInvalidArgument, "the address of the kernel is 0");
    if (tasks < 0) {
      Fail(ErrorCode::kInvalidArgument, "tasks: expected >= 0, got %lld",
           static_cast<long long>(tasks));
    }
    for (const py::handle& item : arrays) args_.push_back(ToPointer(item));
    const auto function = reinterpret_cast<KernelFunction>(address);
    if (tasks > 0) {
      calls_.push_back({function, args_.data(), scalars_.data(), tasks, kUnknownWorkNs,
                        workspace_bytes});
    }
    team_.Split(calls_, workers_.Threads());
  }

  // Without the GIL.
  void Run() { team_.Run(workers_); }

 private:
  static void* ToPointer(const py::handle& item) {
    if (py::isinstance<py::int_>(item)) return reinterpret_cast<void*>(item.cast<uintptr_t>());
    if (!py::isinstance<py::array>(item)) {
      Fail(ErrorCode::kInvalidArgument, "kernel arguments are NumPy arrays or addresses, got %s",
           py::cast<std::string>(py::str(py::type::handle_of(item))).c_str());
    }
    const auto array = py::reinterpret_borrow<py::array>(item);
    if ((array.flags() & py::array::c_style) == 0) {
      Fail(ErrorCode::kInvalidArgument, "an array given to a kernel is not C-contiguous");
    }
    return const_cast<void*>(array.data());
  }

  std::vector<void*> args_;
  std::vector<int64_t> scalars_;
  std::vector<KernelCall> calls_;
  PoolWorkers workers_;
  Team team_;
};

std::vector<double> Measure(Launch& launch, size_t repeats) {
  std::vector<double> seconds;
  seconds.reserve(repeats);
  for (size_t i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    launch.Run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    seconds.push_back(took.count());
  }
  return seconds;
}

using HaloKeys = std::vector<std::optional<std::string>>;

std::pair<std::vector<int64_t>, int64_t> PlanOffsets(const std::vector<int64_t>& sizes,
                                                     const std::vector<int32_t>& first,
                                                     const std::vector<int32_t>& last,
                                                     const HaloKeys& halo_keys) {
  const size_t count = sizes.size();
  if (first.size() != count || last.size() != count || halo_keys.size() != count) {
    Fail(ErrorCode::kInvalidArgument, "sizes, first, last and halo_keys have different lengths");
  }
  std::unordered_map<std::string, uint32_t> groups;
  std::vector<PlannedBuffer> buffers;
  for (size_t i = 0; i < count; ++i) {
    uint32_t halo = 0;
    if (halo_keys[i]) {
      halo = groups.emplace(*halo_keys[i], static_cast<uint32_t>(groups.size() + 1)).first->second;
    }
    buffers.push_back({sizes[i], first[i], last[i], halo});
  }
  const int64_t total = MemoryPlanner().Plan(buffers);
  std::vector<int64_t> offsets;
  for (const PlannedBuffer& buffer : buffers) offsets.push_back(buffer.offset);
  return {offsets, total};
}

ThreadPool* PoolFor(ThreadPools& pools, size_t threads) {
  if (threads == 0) Fail(ErrorCode::kInvalidArgument, "threads: expected >= 1, got 0");
  return threads == 1 ? nullptr : &pools.Get(threads);
}

}  // namespace

void DefineKernelFunctions(py::module_& module, ThreadPools& pools) {
  module.def(
      "launch",
      [&pools](uintptr_t address, const py::list& arrays, std::vector<int64_t> scalars,
               int64_t tasks, size_t threads, size_t workspace_bytes) {
        Launch launch(address, arrays, std::move(scalars), tasks, workspace_bytes,
                      PoolFor(pools, threads));
        const py::gil_scoped_release release;
        launch.Run();
      },
      py::arg("address"), py::arg("arrays"), py::arg("scalars"), py::arg("tasks"),
      py::arg("threads") = 1, py::arg("workspace_bytes") = 0,
      "Run a kernel on C-contiguous NumPy arrays or addresses, in place.");
  module.def(
      "measure",
      [&pools](uintptr_t address, const py::list& arrays, std::vector<int64_t> scalars,
               int64_t tasks, size_t threads, size_t repeats, size_t workspace_bytes) {
        Launch launch(address, arrays, std::move(scalars), tasks, workspace_bytes,
                      PoolFor(pools, threads));
        const py::gil_scoped_release release;
        return Measure(launch, repeats);
      },
      py::arg("address"), py::arg("arrays"), py::arg("scalars"), py::arg("tasks"),
      py::arg("threads"), py::arg("repeats"), py::arg("workspace_bytes") = 0,
      "Seconds that each of `repeats` runs took.");
  module.def("plan_offsets", &PlanOffsets, py::arg("sizes"), py::arg("first"), py::arg("last"),
             py::arg("halo_keys"), "Offsets of buffers in one arena, and its size in bytes.");
}

}  // namespace hidet::python
