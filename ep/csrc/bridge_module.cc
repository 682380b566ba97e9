// hidet_ep._bridge: connects the plugin library with the Python package.
//
// connect(library, settle, partition) opens the library and gives it a Bridge that calls
// the two Python functions; both get and return plain dicts, tuples, texts and bytes (the shapes
// are in ep/hidet_ep/handover.py). disconnect() is for atexit: from then on no call enters Python.
// Threading: calls arrive with or without the GIL (ONNX Runtime holds it while it creates a session
// up to 1.30, not from 1.31 on), so it is always taken here. Python objects are never freed.
#include <dlfcn.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <stdexcept>

#include "ep/csrc/bridge.h"

namespace py = pybind11;

namespace hidet {
namespace {

py::object PyText(const std::string& text) { return py::str(text); }

py::tuple PyTexts(const std::vector<std::string>& texts) { return py::tuple(py::cast(texts)); }

py::object ReadOnlyMemory(const void* data, size_t bytes) {
  if (data == nullptr) return py::none();
  return py::memoryview::from_memory(data, static_cast<py::ssize_t>(bytes));
}

struct AttributeToPython {
  py::object operator()(int64_t value) const { return py::int_(value); }
  py::object operator()(float value) const { return py::float_(value); }
  py::object operator()(const std::string& value) const { return py::bytes(value); }
  py::object operator()(const std::vector<int64_t>& value) const { return py::cast(value); }
  py::object operator()(const std::vector<float>& value) const { return py::cast(value); }
  py::object operator()(const std::vector<std::string>& value) const {
    py::list list;
    for (const std::string& item : value) list.append(py::bytes(item));
    return list;
  }
  py::object operator()(const TensorCopy& value) const {
    return py::make_tuple(value.dtype, py::tuple(py::cast(value.shape)), py::bytes(value.bytes));
  }
};

py::object ShapeToPython(const ValueView& value) {
  if (!value.has_shape) return py::none();
  py::tuple shape(value.shape.size());
  for (size_t axis = 0; axis < value.shape.size(); ++axis) {
    const DimView& dim = value.shape[axis];
    if (dim.size >= 0) {
      shape[axis] = py::int_(dim.size);
    } else {
      shape[axis] = dim.symbol.empty() ? py::object(py::none()) : PyText(dim.symbol);
    }
  }
  return shape;
}

py::dict NodeToPython(const NodeView& node) {
  py::dict attributes;
  for (const auto& [name, value] : node.attributes) {
    attributes[py::str(name)] = std::visit(AttributeToPython{}, value);
  }
  py::dict result;
  result["id"] = node.id;
  result["name"] = PyText(node.name);
  result["op_type"] = PyText(node.op_type);
  result["domain"] = PyText(node.domain);
  result["since_version"] = node.since_version;
  result["inputs"] = PyTexts(node.inputs);
  result["outputs"] = PyTexts(node.outputs);
  result["implicit_inputs"] = PyTexts(node.implicit_inputs);
  result["attributes"] = attributes;
  result["has_subgraph"] = node.has_subgraph;
  result["owner"] = PyText(node.owner);
  return result;
}

py::dict GraphToPython(const GraphView& graph) {
  py::list nodes;
  for (const NodeView& node : graph.nodes) nodes.append(NodeToPython(node));
  py::list values;
  for (const ValueView& value : graph.values) {
    values.append(py::make_tuple(PyText(value.name), value.dtype, ShapeToPython(value),
                                 ReadOnlyMemory(value.data, value.data_bytes),
                                 value.is_constant));
  }
  py::dict opsets;
  for (const auto& [domain, version] : graph.opsets) opsets[py::str(domain)] = version;
  py::dict result;
  result["name"] = PyText(graph.name);
  result["nodes"] = nodes;
  result["values"] = values;
  result["inputs"] = PyTexts(graph.inputs);
  result["outputs"] = PyTexts(graph.outputs);
  result["opsets"] = opsets;
  return result;
}

ByteView ViewOf(const py::buffer_info& info) {
  return {info.ptr, static_cast<size_t>(info.size * info.itemsize)};
}

// partitions: list of (node_ids, plan, constants); the arrays are C-contiguous.
void DeliverPartition(const py::handle& item, PartitionSink& sink) {
  const auto [ids, plan, arrays] =
      item.cast<std::tuple<std::vector<size_t>, py::buffer, std::vector<py::buffer>>>();
  const py::buffer_info plan_bytes = plan.request();
  std::vector<py::buffer_info> held;
  CompiledPartition partition;
  partition.node_ids = ids;
  partition.plan = ViewOf(plan_bytes);
  for (const py::buffer& array : arrays) {
    held.push_back(array.request());
    partition.constants.push_back(ViewOf(held.back()));
  }
  sink.Add(partition);
}

// outcome: (partitions, refused, warnings), refused: list of (node name, op type, reason).
void Deliver(const py::object& outcome, PartitionSink& sink) {
  const auto [partitions, refused, warnings] =
      outcome.cast<std::tuple<py::list, py::list, std::vector<std::string>>>();
  for (const std::string& warning : warnings) sink.Warn(warning, "");
  for (const py::handle& item : refused) {
    const auto [node, op_type, reason] =
        item.cast<std::tuple<std::string, std::string, std::string>>();
    sink.Refuse(node, op_type, reason);
  }
  for (const py::handle& item : partitions) DeliverPartition(item, sink);
}

Settings ToSettings(const py::dict& settled) {
  Settings settings;
  settings.problem = settled["problem"].cast<std::string>();
  if (!settings.problem.empty()) return settings;
  settings.on_gpu = settled["on_gpu"].cast<bool>();
  settings.target = settled["target"].cast<std::string>();
  settings.device_id = settled["device_id"].cast<int>();
  settings.memory_limit = settled["memory_limit"].cast<uint64_t>();
  settings.use_graph = settled["use_graph"].cast<bool>();
  settings.stream = settled["stream"].cast<uint64_t>();
  return settings;
}

class PythonBridge final : public Bridge {
 public:
  PythonBridge(py::object settle, py::object partition)
      : settle_(std::move(settle)), partition_(std::move(partition)) {}

  void Disconnect() { connected_.store(false); }

  Settings Settle(const OptionMap& options) noexcept override {
    if (!Reachable()) return {};
    const py::gil_scoped_acquire lock;
    try {
      return ToSettings(settle_(options).cast<py::dict>());
    } catch (const std::exception& error) {
      Settings settings;
      settings.problem = error.what();
      return settings;
    }
  }

  void Partition(const GraphView& graph, const OptionMap& options,
                 PartitionSink& sink) noexcept override {
    if (!Reachable()) return;
    const py::gil_scoped_acquire lock;
    try {
      Deliver(partition_(GraphToPython(graph), options), sink);
    } catch (const std::exception& error) {
      Report(error, sink);
    }
  }

 private:
  static void Report(const std::exception& error, PartitionSink& sink) {
    const std::string leaves = "leaves the graph to other providers: ";
    const auto* raised = dynamic_cast<const py::error_already_set*>(&error);
    if (raised == nullptr) return sink.Warn(leaves + error.what(), "");
    const std::string what = raised->what();  // "Type: text", an empty line, the traceback
    sink.Warn(leaves + what.substr(0, what.find("\n\nAt:")), what);
    // For our caller. Last, because Python code run from here would receive it instead.
    if (raised->matches(PyExc_KeyboardInterrupt)) PyErr_SetInterrupt();
  }

  bool Reachable() const { return connected_.load() && Py_IsInitialized() != 0; }

  py::object settle_;
  py::object partition_;
  std::atomic<bool> connected_{true};
};

PythonBridge* the_bridge = nullptr;  // made once, guarded by the GIL, never freed

void Connect(const std::string& library, py::object settle, py::object partition) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw std::runtime_error(dlerror());
  const auto set_bridge =
      reinterpret_cast<decltype(&HidetSetBridge)>(dlsym(handle, "HidetSetBridge"));
  if (set_bridge == nullptr) throw std::runtime_error(dlerror());
  the_bridge = new PythonBridge(std::move(settle), std::move(partition));
  set_bridge(the_bridge);
}

void Disconnect() {
  if (the_bridge != nullptr) the_bridge->Disconnect();
}

}  // namespace
}  // namespace hidet

PYBIND11_MODULE(_bridge, module) {
  module.doc() = "Connects libhidet_ep.so with hidet_ep; see hidet_ep/handover.py";
  module.def("connect", &hidet::Connect, py::arg("library"), py::arg("settle"),
             py::arg("partition"));
  module.def("disconnect", &hidet::Disconnect);
}
