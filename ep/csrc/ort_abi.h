// The part of ONNX Runtime's C ABI that this plugin uses, as a table of slots.
//
// Every table of function pointers is append-only in ONNX Runtime: a function keeps its slot for
// ever. Declared are the members used here, at their slot; the gaps between them have no type.
// The static_asserts at the end are the check, and tests/ep/test_abi.py compares them with the
// official headers where those are installed. Structs that the plugin fills: ort_callbacks.h.
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
struct OrtMemoryInfo;
struct OrtMemoryDevice;
struct OrtSyncStream;
struct OrtDataType;
struct OrtKernelInfo;
struct OrtKernelRegistry;
struct OrtKernelDef;
struct OrtKernelDefBuilder;
struct OrtEp;
struct OrtEpApi;
struct OrtEpFactory;
struct OrtKernelImpl;
struct OrtNodeFusionOptions;

enum OrtErrorCode : int { ORT_OK = 0, ORT_FAIL = 1, ORT_INVALID_ARGUMENT = 2, ORT_EP_FAIL = 11 };
enum OrtLoggingLevel : int { kVerbose = 0, kInfo = 1, kWarning = 2, kError = 3, kFatal = 4 };
enum OrtHardwareDeviceType : int { kCpuDevice = 0, kGpuDevice = 1, kNpuDevice = 2 };
enum OrtMemoryInfoDeviceType : int { kCpuMemory = 0, kGpuMemory = 1 };
enum OrtDeviceMemoryType : int { kDefaultMemory = 0, kHostAccessibleMemory = 5 };
enum OrtAllocatorType : int { kDeviceAllocator = 0 };
enum OrtMemType : int { kMemTypeCpuInput = -2, kMemTypeCpuOutput = -1, kMemTypeDefault = 0 };
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

using OrtKernelCreateFunc = OrtStatus* (*)(void* state, const OrtKernelInfo* info,
                                           OrtKernelImpl** kernel);

#define HIDET_UNUSED(first, last) void* unused_##first##_to_##last[(last) - (first) + 1]

// Functions for plugin providers.
struct OrtEpApi {
  OrtStatus* (*CreateEpDevice)(
      OrtEpFactory* ep_factory, const OrtHardwareDevice* hardware_device,
      const OrtKeyValuePairs* ep_metadata, const OrtKeyValuePairs* ep_options,
      OrtEpDevice** ep_device);
  void (*ReleaseEpDevice)(OrtEpDevice* input);
  OrtStatus* (*EpGraphSupportInfo_AddNodesToFuse)(
      OrtEpGraphSupportInfo* graph_support_info, const OrtNode* const* nodes, size_t num_nodes,
      const OrtNodeFusionOptions* node_fusion_options);
  HIDET_UNUSED(3, 4);
  OrtStatus* (*EpDevice_AddAllocatorInfo)(
      OrtEpDevice* ep_device, const OrtMemoryInfo* allocator_memory_info);
  const OrtMemoryDevice* (*MemoryInfo_GetMemoryDevice)(const OrtMemoryInfo* memory_info);
  const OrtMemoryDevice* (*Value_GetMemoryDevice)(const OrtValue* value);
  HIDET_UNUSED(8, 8);
  OrtMemoryInfoDeviceType (*MemoryDevice_GetDeviceType)(const OrtMemoryDevice* memory_device);
  OrtDeviceMemoryType (*MemoryDevice_GetMemoryType)(const OrtMemoryDevice* memory_device);
  uint32_t (*MemoryDevice_GetVendorId)(const OrtMemoryDevice* memory_device);
  uint32_t (*MemoryDevice_GetDeviceId)(const OrtMemoryDevice* memory_device);
  HIDET_UNUSED(13, 15);
  OrtStatus* (*CreateHardwareDevice)(
      OrtHardwareDeviceType type, uint32_t vendor_id, uint32_t device_id,
      const char* vendor_name, const OrtKeyValuePairs* metadata,
      OrtHardwareDevice** hardware_device);
  void (*ReleaseHardwareDevice)(OrtHardwareDevice* input);
  OrtStatus* (*CreateKernelRegistry)(OrtKernelRegistry** kernel_registry);
  void (*ReleaseKernelRegistry)(OrtKernelRegistry* input);
  OrtStatus* (*KernelRegistry_AddKernel)(
      OrtKernelRegistry* kernel_registry, const OrtKernelDef* kernel_def,
      OrtKernelCreateFunc kernel_create_func, void* kernel_create_func_state);
  OrtStatus* (*CreateKernelDefBuilder)(OrtKernelDefBuilder** kernel_def_builder_out);
  void (*ReleaseKernelDefBuilder)(OrtKernelDefBuilder* input);
  OrtStatus* (*KernelDefBuilder_SetOperatorType)(
      OrtKernelDefBuilder* kernel_def_builder, const char* op_type);
  OrtStatus* (*KernelDefBuilder_SetDomain)(
      OrtKernelDefBuilder* kernel_def_builder, const char* domain);
  OrtStatus* (*KernelDefBuilder_SetSinceVersion)(
      OrtKernelDefBuilder* kernel_def_builder, int since_version_start,
      int since_version_end);
  OrtStatus* (*KernelDefBuilder_SetExecutionProvider)(
      OrtKernelDefBuilder* kernel_def_builder, const char* ep_name);
  OrtStatus* (*KernelDefBuilder_SetInputMemType)(
      OrtKernelDefBuilder* kernel_def_builder, size_t input_index, OrtMemType mem_type);
  OrtStatus* (*KernelDefBuilder_SetOutputMemType)(
      OrtKernelDefBuilder* kernel_def_builder, size_t output_index, OrtMemType mem_type);
  OrtStatus* (*KernelDefBuilder_AddTypeConstraint)(
      OrtKernelDefBuilder* kernel_def_builder, const char* arg_name,
      const OrtDataType* const* types, size_t num_types);
  HIDET_UNUSED(30, 31);
  OrtStatus* (*KernelDefBuilder_Build)(
      OrtKernelDefBuilder* kernel_def_builder, OrtKernelDef** kernel_def_out);
  void (*ReleaseKernelDef)(OrtKernelDef* input);
  HIDET_UNUSED(34, 39);
  OrtStatus* (*GetTensorDataType)(ONNXTensorElementDataType elem_type, const OrtDataType** out);
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
  void (*ReleaseMemoryInfo)(OrtMemoryInfo* input);
  HIDET_UNUSED(95, 95);
  void (*ReleaseValue)(OrtValue* input);
  HIDET_UNUSED(97, 192);
  OrtStatus* (*KernelContext_GetGPUComputeStream)(const OrtKernelContext* context, void** out);
  HIDET_UNUSED(194, 246);
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
  HIDET_UNUSED(291, 294);
  void (*CreateKeyValuePairs)(OrtKeyValuePairs** out);
  void (*AddKeyValuePair)(OrtKeyValuePairs* kvps, const char* key, const char* value);
  HIDET_UNUSED(297, 297);
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
  HIDET_UNUSED(319, 319);
  OrtStatus* (*CreateMemoryInfo_V2)(
      const char* name, OrtMemoryInfoDeviceType device_type, uint32_t vendor_id,
      int32_t device_id, OrtDeviceMemoryType mem_type, size_t alignment,
      OrtAllocatorType allocator_type, OrtMemoryInfo** out);
  HIDET_UNUSED(321, 325);
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
  HIDET_UNUSED(380, 383);
  void* (*SyncStream_GetHandle)(OrtSyncStream* stream);
  HIDET_UNUSED(385, 389);
  bool (*TensorTypeAndShape_HasShape)(const OrtTensorTypeAndShapeInfo* info);
  HIDET_UNUSED(391, 413);
  OrtStatus* (*GetTensorElementTypeAndShapeDataReference)(
      const OrtValue* value, ONNXTensorElementDataType* elem_type, const int64_t** shape_data,
      size_t* shape_data_count);
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
HIDET_SLOT(OrtEpApi, CreateEpDevice, 0);
HIDET_SLOT(OrtEpApi, ReleaseEpDevice, 1);
HIDET_SLOT(OrtEpApi, EpGraphSupportInfo_AddNodesToFuse, 2);
HIDET_SLOT(OrtEpApi, EpDevice_AddAllocatorInfo, 5);
HIDET_SLOT(OrtEpApi, MemoryInfo_GetMemoryDevice, 6);
HIDET_SLOT(OrtEpApi, Value_GetMemoryDevice, 7);
HIDET_SLOT(OrtEpApi, MemoryDevice_GetDeviceType, 9);
HIDET_SLOT(OrtEpApi, MemoryDevice_GetMemoryType, 10);
HIDET_SLOT(OrtEpApi, MemoryDevice_GetVendorId, 11);
HIDET_SLOT(OrtEpApi, MemoryDevice_GetDeviceId, 12);
HIDET_SLOT(OrtEpApi, CreateHardwareDevice, 16);
HIDET_SLOT(OrtEpApi, ReleaseHardwareDevice, 17);
HIDET_SLOT(OrtEpApi, CreateKernelRegistry, 18);
HIDET_SLOT(OrtEpApi, ReleaseKernelRegistry, 19);
HIDET_SLOT(OrtEpApi, KernelRegistry_AddKernel, 20);
HIDET_SLOT(OrtEpApi, CreateKernelDefBuilder, 21);
HIDET_SLOT(OrtEpApi, ReleaseKernelDefBuilder, 22);
HIDET_SLOT(OrtEpApi, KernelDefBuilder_SetOperatorType, 23);
HIDET_SLOT(OrtEpApi, KernelDefBuilder_SetDomain, 24);
HIDET_SLOT(OrtEpApi, KernelDefBuilder_SetSinceVersion, 25);
HIDET_SLOT(OrtEpApi, KernelDefBuilder_SetExecutionProvider, 26);
HIDET_SLOT(OrtEpApi, KernelDefBuilder_SetInputMemType, 27);
HIDET_SLOT(OrtEpApi, KernelDefBuilder_SetOutputMemType, 28);
HIDET_SLOT(OrtEpApi, KernelDefBuilder_AddTypeConstraint, 29);
HIDET_SLOT(OrtEpApi, KernelDefBuilder_Build, 32);
HIDET_SLOT(OrtEpApi, ReleaseKernelDef, 33);
HIDET_SLOT(OrtEpApi, GetTensorDataType, 40);
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
HIDET_SLOT(OrtApi, ReleaseMemoryInfo, 94);
HIDET_SLOT(OrtApi, ReleaseValue, 96);
HIDET_SLOT(OrtApi, KernelContext_GetGPUComputeStream, 193);
HIDET_SLOT(OrtApi, Logger_LogMessage, 247);
HIDET_SLOT(OrtApi, Logger_GetLoggingSeverityLevel, 248);
HIDET_SLOT(OrtApi, ReadOpAttr, 272);
HIDET_SLOT(OrtApi, KernelContext_ParallelFor, 274);
HIDET_SLOT(OrtApi, GetValueInfoName, 289);
HIDET_SLOT(OrtApi, GetValueInfoTypeInfo, 290);
HIDET_SLOT(OrtApi, CreateKeyValuePairs, 295);
HIDET_SLOT(OrtApi, AddKeyValuePair, 296);
HIDET_SLOT(OrtApi, GetKeyValuePairs, 298);
HIDET_SLOT(OrtApi, ReleaseKeyValuePairs, 300);
HIDET_SLOT(OrtApi, HardwareDevice_Type, 307);
HIDET_SLOT(OrtApi, GetEpApi, 317);
HIDET_SLOT(OrtApi, GetTensorSizeInBytes, 318);
HIDET_SLOT(OrtApi, CreateMemoryInfo_V2, 320);
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
HIDET_SLOT(OrtApi, SyncStream_GetHandle, 384);
HIDET_SLOT(OrtApi, TensorTypeAndShape_HasShape, 390);
HIDET_SLOT(OrtApi, GetTensorElementTypeAndShapeDataReference, 414);

#undef HIDET_SLOT

}  // namespace hidet::ort
