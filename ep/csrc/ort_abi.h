// The part of ONNX Runtime's C ABI that this plugin uses, as a table of slots.
//
// Every table of function pointers is append-only in ONNX Runtime: a function keeps its slot for
// ever. Declared are the members used here, at their slot; the gaps between them have no type.
// The static_asserts at the end are the check, and tests/ep/test_abi.py compares them with the
// official headers where those are installed. Structs that the plugin fills (OrtEp,
// OrtEpFactory, OrtNodeComputeInfo) have the size they have in kHeaderVersion.
// All functions return owned OrtStatus* (null: success) unless their type says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hidet::ort {

inline constexpr uint32_t kHeaderVersion = 29;   // the API version these declarations were made for
inline constexpr uint32_t kMinimumVersion = 27;  // the oldest onnxruntime (1.27) we work with

struct OrtStatus;
struct OrtLogger;
struct OrtGraph;
struct OrtNode;
struct OrtOpAttr;
struct OrtValue;
struct OrtValueInfo;
struct OrtTypeInfo;
struct OrtTensorTypeAndShapeInfo;
struct OrtKeyValuePairs;
struct OrtSessionOptions;
struct OrtKernelContext;
struct OrtHardwareDevice;
struct OrtEpDevice;
struct OrtEpGraphSupportInfo;
struct OrtNodeComputeContext;
struct OrtDataTransferImpl;
struct OrtEp;
struct OrtEpApi;
struct OrtEpFactory;

enum OrtErrorCode : int { ORT_OK = 0, ORT_FAIL = 1, ORT_INVALID_ARGUMENT = 2, ORT_EP_FAIL = 11 };
enum OrtLoggingLevel : int { kVerbose = 0, kInfo = 1, kWarning = 2, kError = 3, kFatal = 4 };
enum OrtHardwareDeviceType : int { kCpuDevice = 0, kGpuDevice = 1, kNpuDevice = 2 };
enum ONNXType : int { ONNX_TYPE_UNKNOWN = 0, ONNX_TYPE_TENSOR = 1 };
enum ONNXTensorElementDataType : int {};  // values are those of ONNX's TensorProto.DataType
enum OrtOpAttrType : int {
  kAttrUndefined = 0,
  kAttrInt = 1,
  kAttrInts = 2,
  kAttrFloat = 3,
  kAttrFloats = 4,
  kAttrString = 5,
  kAttrStrings = 6,
  kAttrGraph = 7,
  kAttrTensor = 8,
};

struct OrtNodeFusionOptions {
  uint32_t ort_version_supported;
  bool drop_constant_initializers;
};

// How one fused node is run; filled by us.
struct OrtNodeComputeInfo {
  uint32_t ort_version_supported;
  OrtStatus* (*CreateState)(OrtNodeComputeInfo* self, OrtNodeComputeContext* context, void** state);
  OrtStatus* (*Compute)(OrtNodeComputeInfo* self, void* state, OrtKernelContext* context);
  void (*ReleaseState)(OrtNodeComputeInfo* self, void* state);
};

#define HIDET_UNUSED(first, last) void* unused_##first##_to_##last[(last) - (first) + 1]

// Functions for plugin providers.
struct OrtEpApi {
  OrtStatus* (*CreateEpDevice)(
      OrtEpFactory* ep_factory, const OrtHardwareDevice* hardware_device,
      const OrtKeyValuePairs* ep_metadata, const OrtKeyValuePairs* ep_options,
      OrtEpDevice** ep_device);
  HIDET_UNUSED(1, 1);
  OrtStatus* (*EpGraphSupportInfo_AddNodesToFuse)(
      OrtEpGraphSupportInfo* graph_support_info, const OrtNode* const* nodes, size_t num_nodes,
      const OrtNodeFusionOptions* node_fusion_options);
};

// The main table, as far as it is used here.
struct OrtApi {
  OrtStatus* (*CreateStatus)(OrtErrorCode code, const char* msg);
  OrtErrorCode (*GetErrorCode)(const OrtStatus* status);
  const char* (*GetErrorMessage)(const OrtStatus* status);
  HIDET_UNUSED(3, 50);
  OrtStatus* (*GetTensorMutableData)(OrtValue* value, void** out);
  HIDET_UNUSED(52, 54);
  OrtStatus* (*CastTypeInfoToTensorInfo)(
      const OrtTypeInfo* type_info, const OrtTensorTypeAndShapeInfo** out);
  OrtStatus* (*GetOnnxTypeFromTypeInfo)(const OrtTypeInfo* type_info, ONNXType* out);
  HIDET_UNUSED(57, 59);
  OrtStatus* (*GetTensorElementType)(
      const OrtTensorTypeAndShapeInfo* info, ONNXTensorElementDataType* out);
  OrtStatus* (*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo* info, size_t* out);
  OrtStatus* (*GetDimensions)(
      const OrtTensorTypeAndShapeInfo* info, int64_t* dim_values, size_t dim_values_length);
  OrtStatus* (*GetSymbolicDimensions)(
      const OrtTensorTypeAndShapeInfo* info, const char* dim_params[], size_t dim_params_length);
  HIDET_UNUSED(64, 89);
  OrtStatus* (*KernelContext_GetInput)(
      const OrtKernelContext* context, size_t index, const OrtValue** out);
  OrtStatus* (*KernelContext_GetOutput)(
      OrtKernelContext* context, size_t index, const int64_t* dim_values, size_t dim_count,
      OrtValue** out);
  HIDET_UNUSED(92, 92);
  void (*ReleaseStatus)(OrtStatus* input);
  HIDET_UNUSED(94, 95);
  void (*ReleaseValue)(OrtValue* input);
  HIDET_UNUSED(97, 246);
  OrtStatus* (*Logger_LogMessage)(
      const OrtLogger* logger, OrtLoggingLevel log_severity_level, const char* message,
      const char* file_path, int line_number, const char* func_name);
  OrtStatus* (*Logger_GetLoggingSeverityLevel)(const OrtLogger* logger, OrtLoggingLevel* out);
  HIDET_UNUSED(249, 271);
  OrtStatus* (*ReadOpAttr)(
      const OrtOpAttr* op_attr, OrtOpAttrType type, void* data, size_t len, size_t* out);
  HIDET_UNUSED(273, 273);
  OrtStatus* (*KernelContext_ParallelFor)(
      const OrtKernelContext* context, void (*fn)(void*, size_t), size_t total, size_t num_batch,
      void* usr_data);
  HIDET_UNUSED(275, 288);
  OrtStatus* (*GetValueInfoName)(const OrtValueInfo* value_info, const char** name);
  OrtStatus* (*GetValueInfoTypeInfo)(const OrtValueInfo* value_info, const OrtTypeInfo** type_info);
  HIDET_UNUSED(291, 297);
  void (*GetKeyValuePairs)(
      const OrtKeyValuePairs* kvps, const char* const** keys, const char* const** values,
      size_t* num_entries);
  HIDET_UNUSED(299, 299);
  void (*ReleaseKeyValuePairs)(OrtKeyValuePairs* input);
  HIDET_UNUSED(301, 306);
  OrtHardwareDeviceType (*HardwareDevice_Type)(const OrtHardwareDevice* device);
  HIDET_UNUSED(308, 316);
  const OrtEpApi* (*GetEpApi)();
  OrtStatus* (*GetTensorSizeInBytes)(const OrtValue* ort_value, size_t* size);
  HIDET_UNUSED(319, 325);
  OrtStatus* (*ValueInfo_GetInitializerValue)(
      const OrtValueInfo* value_info, const OrtValue** initializer_value);
  HIDET_UNUSED(327, 330);
  OrtStatus* (*ValueInfo_IsConstantInitializer)(
      const OrtValueInfo* value_info, bool* is_constant_initializer);
  HIDET_UNUSED(332, 332);
  OrtStatus* (*Graph_GetName)(const OrtGraph* graph, const char** graph_name);
  HIDET_UNUSED(334, 335);
  OrtStatus* (*Graph_GetNumOperatorSets)(const OrtGraph* graph, size_t* num_operator_sets);
  OrtStatus* (*Graph_GetOperatorSets)(
      const OrtGraph* graph, const char** domains, int64_t* opset_versions,
      size_t num_operator_sets);
  OrtStatus* (*Graph_GetNumInputs)(const OrtGraph* graph, size_t* num_inputs);
  OrtStatus* (*Graph_GetInputs)(
      const OrtGraph* graph, const OrtValueInfo** inputs, size_t num_inputs);
  OrtStatus* (*Graph_GetNumOutputs)(const OrtGraph* graph, size_t* num_outputs);
  OrtStatus* (*Graph_GetOutputs)(
      const OrtGraph* graph, const OrtValueInfo** outputs, size_t num_outputs);
  HIDET_UNUSED(342, 343);
  OrtStatus* (*Graph_GetNumNodes)(const OrtGraph* graph, size_t* num_nodes);
  OrtStatus* (*Graph_GetNodes)(const OrtGraph* graph, const OrtNode** nodes, size_t num_nodes);
  OrtStatus* (*Graph_GetParentNode)(const OrtGraph* graph, const OrtNode** node);
  HIDET_UNUSED(347, 347);
  OrtStatus* (*Node_GetId)(const OrtNode* node, size_t* node_id);
  OrtStatus* (*Node_GetName)(const OrtNode* node, const char** node_name);
  OrtStatus* (*Node_GetOperatorType)(const OrtNode* node, const char** operator_type);
  OrtStatus* (*Node_GetDomain)(const OrtNode* node, const char** domain_name);
  OrtStatus* (*Node_GetSinceVersion)(const OrtNode* node, int* since_version);
  OrtStatus* (*Node_GetNumInputs)(const OrtNode* node, size_t* num_inputs);
  OrtStatus* (*Node_GetInputs)(const OrtNode* node, const OrtValueInfo** inputs, size_t num_inputs);
  OrtStatus* (*Node_GetNumOutputs)(const OrtNode* node, size_t* num_outputs);
  OrtStatus* (*Node_GetOutputs)(
      const OrtNode* node, const OrtValueInfo** outputs, size_t num_outputs);
  OrtStatus* (*Node_GetNumImplicitInputs)(const OrtNode* node, size_t* num_implicit_inputs);
  OrtStatus* (*Node_GetImplicitInputs)(
      const OrtNode* node, const OrtValueInfo** implicit_inputs, size_t num_implicit_inputs);
  OrtStatus* (*Node_GetNumAttributes)(const OrtNode* node, size_t* num_attributes);
  OrtStatus* (*Node_GetAttributes)(
      const OrtNode* node, const OrtOpAttr** attributes, size_t num_attributes);
  HIDET_UNUSED(361, 361);
  OrtStatus* (*OpAttr_GetTensorAttributeAsOrtValue)(
      const OrtOpAttr* attribute, OrtValue** attr_tensor);
  OrtStatus* (*OpAttr_GetType)(const OrtOpAttr* attribute, OrtOpAttrType* type);
  OrtStatus* (*OpAttr_GetName)(const OrtOpAttr* attribute, const char** name);
  OrtStatus* (*Node_GetNumSubgraphs)(const OrtNode* node, size_t* num_subgraphs);
  HIDET_UNUSED(366, 367);
  OrtStatus* (*Node_GetEpName)(const OrtNode* node, const char** out);
  HIDET_UNUSED(369, 377);
  OrtStatus* (*GetTensorData)(const OrtValue* value, const void** out);
  OrtStatus* (*GetSessionOptionsConfigEntries)(
      const OrtSessionOptions* options, OrtKeyValuePairs** out);
  HIDET_UNUSED(380, 389);
  bool (*TensorTypeAndShape_HasShape)(const OrtTensorTypeAndShapeInfo* info);
  HIDET_UNUSED(391, 413);
  OrtStatus* (*GetTensorElementTypeAndShapeDataReference)(
      const OrtValue* value, ONNXTensorElementDataType* elem_type, const int64_t** shape_data,
      size_t* shape_data_count);
};

// One provider of one session; filled by us.
struct OrtEp {
  uint32_t ort_version_supported;
  const char* (*GetName)(const OrtEp* self);
  OrtStatus* (*GetCapability)(
      OrtEp* self, const OrtGraph* graph, OrtEpGraphSupportInfo* graph_support_info);
  OrtStatus* (*Compile)(
      OrtEp* self, const OrtGraph** graphs, const OrtNode** fused_nodes, size_t count,
      OrtNodeComputeInfo** node_compute_infos, OrtNode** ep_context_nodes);
  void (*ReleaseNodeComputeInfos)(
      OrtEp* self, OrtNodeComputeInfo** node_compute_infos, size_t num_node_compute_infos);
  HIDET_UNUSED(5, 25);
};

// What CreateEpFactories returns; filled by us.
struct OrtEpFactory {
  uint32_t ort_version_supported;
  const char* (*GetName)(const OrtEpFactory* self);
  const char* (*GetVendor)(const OrtEpFactory* self);
  OrtStatus* (*GetSupportedDevices)(
      OrtEpFactory* self, const OrtHardwareDevice* const* devices, size_t num_devices,
      OrtEpDevice** ep_devices, size_t max_ep_devices, size_t* num_ep_devices);
  OrtStatus* (*CreateEp)(
      OrtEpFactory* self, const OrtHardwareDevice* const* devices,
      const OrtKeyValuePairs* const* ep_metadata_pairs, size_t num_devices,
      const OrtSessionOptions* session_options, const OrtLogger* logger, OrtEp** ep);
  void (*ReleaseEp)(OrtEpFactory* self, OrtEp* ep);
  uint32_t (*GetVendorId)(const OrtEpFactory* self);
  const char* (*GetVersion)(const OrtEpFactory* self);
  HIDET_UNUSED(8, 10);
  OrtStatus* (*CreateDataTransfer)(OrtEpFactory* self, OrtDataTransferImpl** data_transfer);
  HIDET_UNUSED(12, 20);
};

struct OrtApiBase {
  const OrtApi* (*GetApi)(uint32_t version);  // null for a version newer than the runtime
  const char* (*GetVersionString)();
};

#undef HIDET_UNUSED
#define HIDET_SLOT(type, member, slot) \
  static_assert(offsetof(type, member) == (slot) * sizeof(void*), #type "." #member)

HIDET_SLOT(OrtApiBase, GetApi, 0);
HIDET_SLOT(OrtApiBase, GetVersionString, 1);
HIDET_SLOT(OrtNodeComputeInfo, CreateState, 1);
HIDET_SLOT(OrtNodeComputeInfo, Compute, 2);
HIDET_SLOT(OrtNodeComputeInfo, ReleaseState, 3);
HIDET_SLOT(OrtEpApi, CreateEpDevice, 0);
HIDET_SLOT(OrtEpApi, EpGraphSupportInfo_AddNodesToFuse, 2);
HIDET_SLOT(OrtApi, CreateStatus, 0);
HIDET_SLOT(OrtApi, GetErrorCode, 1);
HIDET_SLOT(OrtApi, GetErrorMessage, 2);
HIDET_SLOT(OrtApi, GetTensorMutableData, 51);
HIDET_SLOT(OrtApi, CastTypeInfoToTensorInfo, 55);
HIDET_SLOT(OrtApi, GetOnnxTypeFromTypeInfo, 56);
HIDET_SLOT(OrtApi, GetTensorElementType, 60);
HIDET_SLOT(OrtApi, GetDimensionsCount, 61);
HIDET_SLOT(OrtApi, GetDimensions, 62);
HIDET_SLOT(OrtApi, GetSymbolicDimensions, 63);
HIDET_SLOT(OrtApi, KernelContext_GetInput, 90);
HIDET_SLOT(OrtApi, KernelContext_GetOutput, 91);
HIDET_SLOT(OrtApi, ReleaseStatus, 93);
HIDET_SLOT(OrtApi, ReleaseValue, 96);
HIDET_SLOT(OrtApi, Logger_LogMessage, 247);
HIDET_SLOT(OrtApi, Logger_GetLoggingSeverityLevel, 248);
HIDET_SLOT(OrtApi, ReadOpAttr, 272);
HIDET_SLOT(OrtApi, KernelContext_ParallelFor, 274);
HIDET_SLOT(OrtApi, GetValueInfoName, 289);
HIDET_SLOT(OrtApi, GetValueInfoTypeInfo, 290);
HIDET_SLOT(OrtApi, GetKeyValuePairs, 298);
HIDET_SLOT(OrtApi, ReleaseKeyValuePairs, 300);
HIDET_SLOT(OrtApi, HardwareDevice_Type, 307);
HIDET_SLOT(OrtApi, GetEpApi, 317);
HIDET_SLOT(OrtApi, GetTensorSizeInBytes, 318);
HIDET_SLOT(OrtApi, ValueInfo_GetInitializerValue, 326);
HIDET_SLOT(OrtApi, ValueInfo_IsConstantInitializer, 331);
HIDET_SLOT(OrtApi, Graph_GetName, 333);
HIDET_SLOT(OrtApi, Graph_GetNumOperatorSets, 336);
HIDET_SLOT(OrtApi, Graph_GetOperatorSets, 337);
HIDET_SLOT(OrtApi, Graph_GetNumInputs, 338);
HIDET_SLOT(OrtApi, Graph_GetInputs, 339);
HIDET_SLOT(OrtApi, Graph_GetNumOutputs, 340);
HIDET_SLOT(OrtApi, Graph_GetOutputs, 341);
HIDET_SLOT(OrtApi, Graph_GetNumNodes, 344);
HIDET_SLOT(OrtApi, Graph_GetNodes, 345);
HIDET_SLOT(OrtApi, Graph_GetParentNode, 346);
HIDET_SLOT(OrtApi, Node_GetId, 348);
HIDET_SLOT(OrtApi, Node_GetName, 349);
HIDET_SLOT(OrtApi, Node_GetOperatorType, 350);
HIDET_SLOT(OrtApi, Node_GetDomain, 351);
HIDET_SLOT(OrtApi, Node_GetSinceVersion, 352);
HIDET_SLOT(OrtApi, Node_GetNumInputs, 353);
HIDET_SLOT(OrtApi, Node_GetInputs, 354);
HIDET_SLOT(OrtApi, Node_GetNumOutputs, 355);
HIDET_SLOT(OrtApi, Node_GetOutputs, 356);
HIDET_SLOT(OrtApi, Node_GetNumImplicitInputs, 357);
HIDET_SLOT(OrtApi, Node_GetImplicitInputs, 358);
HIDET_SLOT(OrtApi, Node_GetNumAttributes, 359);
HIDET_SLOT(OrtApi, Node_GetAttributes, 360);
HIDET_SLOT(OrtApi, OpAttr_GetTensorAttributeAsOrtValue, 362);
HIDET_SLOT(OrtApi, OpAttr_GetType, 363);
HIDET_SLOT(OrtApi, OpAttr_GetName, 364);
HIDET_SLOT(OrtApi, Node_GetNumSubgraphs, 365);
HIDET_SLOT(OrtApi, Node_GetEpName, 368);
HIDET_SLOT(OrtApi, GetTensorData, 378);
HIDET_SLOT(OrtApi, GetSessionOptionsConfigEntries, 379);
HIDET_SLOT(OrtApi, TensorTypeAndShape_HasShape, 390);
HIDET_SLOT(OrtApi, GetTensorElementTypeAndShapeDataReference, 414);
HIDET_SLOT(OrtEp, GetName, 1);
HIDET_SLOT(OrtEp, GetCapability, 2);
HIDET_SLOT(OrtEp, Compile, 3);
HIDET_SLOT(OrtEp, ReleaseNodeComputeInfos, 4);
HIDET_SLOT(OrtEpFactory, GetName, 1);
HIDET_SLOT(OrtEpFactory, GetVendor, 2);
HIDET_SLOT(OrtEpFactory, GetSupportedDevices, 3);
HIDET_SLOT(OrtEpFactory, CreateEp, 4);
HIDET_SLOT(OrtEpFactory, ReleaseEp, 5);
HIDET_SLOT(OrtEpFactory, GetVendorId, 6);
HIDET_SLOT(OrtEpFactory, GetVersion, 7);
HIDET_SLOT(OrtEpFactory, CreateDataTransfer, 11);

static_assert(sizeof(OrtEp) == 208 && sizeof(OrtEpFactory) == 168, "sizes of kHeaderVersion");
static_assert(sizeof(OrtNodeComputeInfo) == 32 && sizeof(OrtNodeFusionOptions) == 8);
static_assert(offsetof(OrtNodeFusionOptions, drop_constant_initializers) == 4);

#undef HIDET_SLOT

}  // namespace hidet::ort

