// A graph as plain data: what the partitioner sees of an OrtGraph, with no type of ONNX Runtime.
//
// Names and attributes are copies. The bytes of initializers are not: they belong to ONNX Runtime
// and are valid until the GetCapability call for which the view was made returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace hidet {

struct DimView {
  int64_t size = -1;   // >= 0: known
  std::string symbol;  // name of a symbolic dim; empty and size < 0: unknown
};

struct ValueView {
  std::string name;
  int dtype = 0;  // TensorProto.DataType; 0: not a tensor, or unknown
  bool has_shape = false;
  std::vector<DimView> shape;
  bool is_constant = false;    // an initializer that nobody may override
  const void* data = nullptr;  // of an initializer; null if it has none or it is no plain tensor
  size_t data_bytes = 0;
};

struct TensorCopy {
  int dtype = 0;
  std::vector<int64_t> shape;
  std::string bytes;
};

using AttributeValue = std::variant<int64_t, std::vector<int64_t>, float, std::vector<float>,
                                    std::string, std::vector<std::string>, TensorCopy>;

struct NodeView {
  size_t id = 0;  // unique in its graph, and the same in GetCapability and Compile
  std::string name;
  std::string op_type;
  std::string domain;  // "" is ai.onnx
  int since_version = 0;
  std::vector<std::string> inputs;  // "" where an optional one is absent
  std::vector<std::string> outputs;
  std::vector<std::string> implicit_inputs;  // outer values used by the bodies of If, Loop, Scan
  std::vector<std::pair<std::string, AttributeValue>> attributes;  // without graph attributes
  bool has_subgraph = false;
  std::string owner;  // the execution provider that has it already; "" if it is free
};

struct GraphView {
  std::string name;
  std::vector<NodeView> nodes;    // in topological order
  std::vector<ValueView> values;  // each value that a node or the graph names, once
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::pair<std::string, int64_t>> opsets;
};

}  // namespace hidet
