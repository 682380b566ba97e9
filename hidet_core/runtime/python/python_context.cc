#include "hidet_core/runtime/python/python_context.h"

#include <string>

#include "hidet_core/runtime/error.h"

namespace py = pybind11;

namespace hidet::python {
namespace {

constexpr DataType kAllTypes[] = {
    DataType::kFloat,  DataType::kUint8,  DataType::kInt8,    DataType::kUint16,  DataType::kInt16,
    DataType::kInt32,  DataType::kInt64,  DataType::kBool,    DataType::kFloat16, DataType::kDouble,
    DataType::kUint32, DataType::kUint64, DataType::kBfloat16, DataType::kFloat8e4m3fn,
    DataType::kFloat8e4m3fnuz, DataType::kFloat8e5m2, DataType::kFloat8e5m2fnuz};

}  // namespace

DataType ToDataType(const py::dtype& dtype) {
  const auto name = py::cast<std::string>(dtype.attr("name"));
  for (const DataType type : kAllTypes) {
    if (name == Info(type).name) return type;
  }
  Fail(ErrorCode::kInvalidArgument, "arrays of dtype %s are not supported", name.c_str());
}

py::dtype ToNumpy(DataType type) {
  if (type < DataType::kBfloat16) return py::dtype(Info(type).name);
  try {
    return py::dtype::from_args(py::module_::import("ml_dtypes").attr(Info(type).name));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError)) throw;
    return py::dtype(Info(type).bytes == 1 ? "uint8" : "uint16");
  }
}

ArrayContext::ArrayContext(const py::list& inputs, std::vector<DataType> output_types,
                           ThreadPool* pool)
    : output_types_(std::move(output_types)), outputs_(output_types_.size()), pool_(pool) {
  shapes_.reserve(inputs.size());
  for (const py::handle& item : inputs) {
    if (py::isinstance<CudaArray>(item)) {
      const auto& array = item.cast<const CudaArray&>();
      inputs_.push_back(py::reinterpret_borrow<py::object>(item));
      shapes_.push_back(array.shape());
      views_.push_back({array.data(), shapes_.back().data(), shapes_.back().size(), array.dtype(),
                        Place::kCuda});
      continue;
    }
    const auto array = py::array::ensure(item, py::array::c_style);
    if (!array) throw py::error_already_set();
    inputs_.push_back(array);
    shapes_.emplace_back(array.shape(), array.shape() + array.ndim());
    views_.push_back({array.data(), shapes_.back().data(), shapes_.back().size(),
                      ToDataType(array.dtype())});
  }
}

void ArrayContext::UseOutputs(const py::list& outputs) {
  if (outputs.size() != outputs_.size()) {
    Fail(ErrorCode::kInvalidArgument, "expected %zu outputs, got %zu", outputs_.size(),
         outputs.size());
  }
  for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i] = outputs[i];
}

OutputView ArrayContext::Output(size_t index, const int64_t* dims, size_t rank) {
  const py::gil_scoped_acquire gil;
  if (outputs_[index]) {
    const auto& array = outputs_[index].cast<const CudaArray&>();
    if (array.shape() != std::vector<int64_t>(dims, dims + rank) ||
        array.dtype() != output_types_[index]) {
      Fail(ErrorCode::kInvalidArgument, "the array for output %zu has another shape or dtype",
           index);
    }
    return {array.data(), Place::kCuda};
  }
  const std::vector<py::ssize_t> shape(dims, dims + rank);
  py::array array(ToNumpy(output_types_[index]), shape);
  outputs_[index] = array;
  return {array.mutable_data()};
}

void ArrayContext::ParallelFor(void (*function)(void*, size_t), size_t total, void* user) {
  if (pool_ != nullptr) return pool_->ParallelFor(function, total, user);
  for (size_t i = 0; i < total; ++i) function(user, i);
}

py::list ArrayContext::TakeOutputs() {
  py::list result;
  for (py::object& output : outputs_) result.append(std::move(output));
  return result;
}

}  // namespace hidet::python
