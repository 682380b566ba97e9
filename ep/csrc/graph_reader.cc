#include "ep/csrc/graph_reader.h"

#include <memory>
#include <unordered_set>

namespace hidet {
namespace {

constexpr int kStringType = 8;  // TensorProto.STRING

using Status = ort::OrtStatus*;
using ValueInfos = std::vector<const ort::OrtValueInfo*>;

// The pattern of all list questions: ask for the length, then for the items.
template <typename Item, typename Owner>
std::vector<const Item*> List(const Api& api, const Owner& owner,
                              Status (*count)(const Owner*, size_t*),
                              Status (*get)(const Owner*, const Item**, size_t)) {
  size_t size = 0;
  api.Check(count(&owner, &size));
  std::vector<const Item*> items(size, nullptr);
  if (size > 0) api.Check(get(&owner, items.data(), size));
  return items;
}

// The pattern of all questions for a text: a null answer reads as "".
template <typename Owner>
std::string Text(const Api& api, const Owner& owner, Status (*get)(const Owner*, const char**)) {
  const char* text = nullptr;
  api.Check(get(&owner, &text));
  return text != nullptr ? text : "";
}

std::vector<std::string> Names(const Api& api, const ValueInfos& infos) {
  std::vector<std::string> names;
  names.reserve(infos.size());
  for (const ort::OrtValueInfo* info : infos) {
    names.push_back(info != nullptr ? Text(api, *info, api->GetValueInfoName) : "");
  }
  return names;
}

std::vector<DimView> ReadShape(const Api& api, const ort::OrtTensorTypeAndShapeInfo& info) {
  size_t rank = 0;
  api.Check(api->GetDimensionsCount(&info, &rank));
  std::vector<int64_t> sizes(rank, -1);
  std::vector<const char*> symbols(rank, nullptr);
  if (rank > 0) {
    api.Check(api->GetDimensions(&info, sizes.data(), rank));
    api.Check(api->GetSymbolicDimensions(&info, symbols.data(), rank));
  }
  std::vector<DimView> shape(rank);
  for (size_t axis = 0; axis < rank; ++axis) {
    shape[axis].size = sizes[axis];
    if (sizes[axis] < 0 && symbols[axis] != nullptr) shape[axis].symbol = symbols[axis];
  }
  return shape;
}

void ReadType(const Api& api, const ort::OrtValueInfo& info, ValueView& value) {
  const ort::OrtTypeInfo* type = nullptr;
  Status status = api->GetValueInfoTypeInfo(&info, &type);
  if (status != nullptr) api->ReleaseStatus(status);  // a value whose type nobody could infer
  if (type == nullptr) return;
  ort::ONNXType kind = ort::ONNX_TYPE_UNKNOWN;
  api.Check(api->GetOnnxTypeFromTypeInfo(type, &kind));
  if (kind != ort::ONNX_TYPE_TENSOR) return;
  const ort::OrtTensorTypeAndShapeInfo* tensor = nullptr;
  api.Check(api->CastTypeInfoToTensorInfo(type, &tensor));
  if (tensor == nullptr) return;
  ort::ONNXTensorElementDataType dtype{};
  api.Check(api->GetTensorElementType(tensor, &dtype));
  value.dtype = dtype;
  value.has_shape = api->TensorTypeAndShape_HasShape(tensor);
  if (value.has_shape) value.shape = ReadShape(api, *tensor);
}

void ReadTensor(const Api& api, const ort::OrtValue& tensor, int& dtype,
                std::vector<int64_t>& shape, const void*& data, size_t& bytes) {
  ort::ONNXTensorElementDataType type{};
  const int64_t* dims = nullptr;
  size_t rank = 0;
  api.Check(api->GetTensorElementTypeAndShapeDataReference(&tensor, &type, &dims, &rank));
  dtype = type;
  shape.assign(dims, dims + rank);
  if (dtype == kStringType) return;
  api.Check(api->GetTensorData(&tensor, &data));
  api.Check(api->GetTensorSizeInBytes(&tensor, &bytes));
  static constexpr char kNoBytes[1] = {};
  if (data == nullptr && bytes == 0) data = kNoBytes;  // it has no elements, and is readable
}

void ReadConstant(const Api& api, const ort::OrtValueInfo& info, ValueView& value) {
  api.Check(api->ValueInfo_IsConstantInitializer(&info, &value.is_constant));
  if (!value.is_constant) return;
  const ort::OrtValue* tensor = nullptr;
  api.Check(api->ValueInfo_GetInitializerValue(&info, &tensor));
  if (tensor == nullptr) return;
  std::vector<int64_t> sizes;
  ReadTensor(api, *tensor, value.dtype, sizes, value.data, value.data_bytes);
  value.has_shape = true;
  value.shape.assign(sizes.size(), DimView{});
  for (size_t axis = 0; axis < sizes.size(); ++axis) value.shape[axis].size = sizes[axis];
}

TensorCopy ReadTensorAttribute(const Api& api, const ort::OrtOpAttr& attribute) {
  ort::OrtValue* raw = nullptr;
  api.Check(api->OpAttr_GetTensorAttributeAsOrtValue(&attribute, &raw));
  const auto release = [&api](ort::OrtValue* value) { api->ReleaseValue(value); };
  const std::unique_ptr<ort::OrtValue, decltype(release)> tensor(raw, release);
  TensorCopy copy;
  const void* data = nullptr;
  size_t bytes = 0;
  ReadTensor(api, *tensor, copy.dtype, copy.shape, data, bytes);
  if (data != nullptr) copy.bytes.assign(static_cast<const char*>(data), bytes);
  return copy;
}

// The bytes of an attribute. ONNX Runtime answers the question for the size with an error status.
std::string AttributeBytes(const Api& api, const ort::OrtOpAttr& attribute,
                           ort::OrtOpAttrType type) {
  size_t size = 0;
  Status status = api->ReadOpAttr(&attribute, type, nullptr, 0, &size);
  if (status != nullptr) api->ReleaseStatus(status);
  std::string bytes(size, '\0');
  if (size > 0) api.Check(api->ReadOpAttr(&attribute, type, bytes.data(), size, &size));
  return bytes;
}

template <typename Element>
std::vector<Element> Elements(const std::string& bytes) {
  std::vector<Element> elements(bytes.size() / sizeof(Element));
  bytes.copy(reinterpret_cast<char*>(elements.data()), elements.size() * sizeof(Element));
  return elements;
}

std::vector<std::string> SplitAtNul(const std::string& bytes) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = bytes.find('\0', begin);
    parts.push_back(bytes.substr(begin, end - begin));
    begin = end == std::string::npos ? bytes.size() : end + 1;
  }
  return parts;
}

AttributeValue ReadAttribute(const Api& api, const ort::OrtOpAttr& attribute,
                             ort::OrtOpAttrType type) {
  size_t size = 0;
  switch (type) {
    case ort::kAttrInt: {
      int64_t value = 0;
      api.Check(api->ReadOpAttr(&attribute, type, &value, sizeof value, &size));
      return value;
    }
    case ort::kAttrFloat: {
      float value = 0;
      api.Check(api->ReadOpAttr(&attribute, type, &value, sizeof value, &size));
      return value;
    }
    case ort::kAttrInts: return Elements<int64_t>(AttributeBytes(api, attribute, type));
    case ort::kAttrFloats: return Elements<float>(AttributeBytes(api, attribute, type));
    case ort::kAttrString: return AttributeBytes(api, attribute, type);
    case ort::kAttrStrings: return SplitAtNul(AttributeBytes(api, attribute, type));
    default: return ReadTensorAttribute(api, attribute);
  }
}

void ReadAttributes(const Api& api, const ort::OrtNode& node, NodeView& view) {
  for (const ort::OrtOpAttr* attribute :
       List(api, node, api->Node_GetNumAttributes, api->Node_GetAttributes)) {
    ort::OrtOpAttrType type = ort::kAttrUndefined;
    api.Check(api->OpAttr_GetType(attribute, &type));
    if (type == ort::kAttrUndefined || type == ort::kAttrGraph) continue;
    view.attributes.emplace_back(Text(api, *attribute, api->OpAttr_GetName),
                                 ReadAttribute(api, *attribute, type));
  }
}

class GraphReader {
 public:
  GraphReader(const Api& api, const ort::OrtGraph& graph) : api_(api), graph_(graph) {}

  GraphView Read() {
    view_.name = Text(api_, graph_, api_->Graph_GetName);
    ReadOpsets();
    view_.inputs = Add(List(api_, graph_, api_->Graph_GetNumInputs, api_->Graph_GetInputs));
    view_.outputs = Add(List(api_, graph_, api_->Graph_GetNumOutputs, api_->Graph_GetOutputs));
    for (const ort::OrtNode* node : ListNodes(api_, graph_)) ReadNode(*node);
    return std::move(view_);
  }

 private:
  void ReadOpsets() {
    size_t count = 0;
    api_.Check(api_->Graph_GetNumOperatorSets(&graph_, &count));
    std::vector<const char*> domains(count);
    std::vector<int64_t> versions(count);
    if (count == 0) return;
    api_.Check(api_->Graph_GetOperatorSets(&graph_, domains.data(), versions.data(), count));
    for (size_t i = 0; i < count; ++i) view_.opsets.emplace_back(domains[i], versions[i]);
  }

  void ReadNode(const ort::OrtNode& node) {
    NodeView view;
    view.id = NodeId(api_, node);
    view.name = NodeName(api_, node);
    view.op_type = Text(api_, node, api_->Node_GetOperatorType);
    view.domain = Text(api_, node, api_->Node_GetDomain);
    api_.Check(api_->Node_GetSinceVersion(&node, &view.since_version));
    view.inputs = Add(List(api_, node, api_->Node_GetNumInputs, api_->Node_GetInputs));
    view.outputs = Add(List(api_, node, api_->Node_GetNumOutputs, api_->Node_GetOutputs));
    view.implicit_inputs =
        Add(List(api_, node, api_->Node_GetNumImplicitInputs, api_->Node_GetImplicitInputs));
    size_t subgraphs = 0;
    api_.Check(api_->Node_GetNumSubgraphs(&node, &subgraphs));
    view.has_subgraph = subgraphs > 0;
    view.owner = NodeOwner(api_, node);
    if (view.owner.empty()) ReadAttributes(api_, node, view);
    view_.nodes.push_back(std::move(view));
  }

  // Makes every value known to the view; returns their names.
  std::vector<std::string> Add(const ValueInfos& infos) {
    std::vector<std::string> names = Names(api_, infos);
    for (size_t i = 0; i < infos.size(); ++i) {
      if (names[i].empty() || !known_.insert(names[i]).second) continue;
      ValueView value;
      value.name = names[i];
      ReadType(api_, *infos[i], value);
      ReadConstant(api_, *infos[i], value);
      view_.values.push_back(std::move(value));
    }
    return names;
  }

  const Api& api_;
  const ort::OrtGraph& graph_;
  GraphView view_;
  std::unordered_set<std::string> known_;
};

}  // namespace

GraphView ReadGraph(const Api& api, const ort::OrtGraph& graph) {
  return GraphReader(api, graph).Read();
}

std::vector<const ort::OrtNode*> ListNodes(const Api& api, const ort::OrtGraph& graph) {
  return List(api, graph, api->Graph_GetNumNodes, api->Graph_GetNodes);
}

size_t NodeId(const Api& api, const ort::OrtNode& node) {
  size_t id = 0;
  api.Check(api->Node_GetId(&node, &id));
  return id;
}

std::string NodeName(const Api& api, const ort::OrtNode& node) {
  return Text(api, node, api->Node_GetName);
}

std::string NodeOwner(const Api& api, const ort::OrtNode& node) {
  return Text(api, node, api->Node_GetEpName);
}

std::vector<std::string> InputNames(const Api& api, const ort::OrtNode& node) {
  return Names(api, List(api, node, api->Node_GetNumInputs, api->Node_GetInputs));
}

std::vector<std::string> OutputNames(const Api& api, const ort::OrtNode& node) {
  return Names(api, List(api, node, api->Node_GetNumOutputs, api->Node_GetOutputs));
}

}  // namespace hidet
