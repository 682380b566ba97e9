// The structs of function pointers that ONNX Runtime calls: every one of them is filled by us.
//
// Each has the size it has in kHeaderVersion and says so in its version field, since ONNX Runtime
// reads what that version has. Functions without one here stay null: they are optional. Slots and
// sizes are checked as those of ort_abi.h are.
#pragma once

#include "ep/csrc/ort_abi.h"

namespace hidet::ort {

struct OrtNodeFusionOptions {
  uint32_t ort_version_supported;
  bool drop_constant_initializers;
};

// How one fused node is run.
struct OrtNodeComputeInfo {
  uint32_t ort_version_supported;
  OrtStatus* (*CreateState)(OrtNodeComputeInfo* self, OrtNodeComputeContext* context, void** state);
  OrtStatus* (*Compute)(OrtNodeComputeInfo* self, void* state, OrtKernelContext* context);
  void (*ReleaseState)(OrtNodeComputeInfo* self, void* state);
};

#define HIDET_UNUSED(first, last) void* unused_##first##_to_##last[(last) - (first) + 1]

// A kernel of one node that is not fused.
struct OrtKernelImpl {
  uint32_t ort_version_supported;
  uint32_t flags;  // 0
  OrtStatus* (*Compute)(OrtKernelImpl* self, OrtKernelContext* context);
  void (*Release)(OrtKernelImpl* self);
  HIDET_UNUSED(3, 4);
};

// Memory of a device. Alloc gives null where there is none left.
struct OrtAllocator {
  uint32_t version;
  void* (*Alloc)(OrtAllocator* self, size_t size);
  void (*Free)(OrtAllocator* self, void* p);
  const OrtMemoryInfo* (*Info)(const OrtAllocator* self);
  void* (*Reserve)(OrtAllocator* self, size_t size);
  OrtStatus* (*GetStats)(const OrtAllocator* self, OrtKeyValuePairs** out);
  void* (*AllocOnStream)(OrtAllocator* self, size_t size, OrtSyncStream* stream);
  OrtStatus* (*Shrink)(OrtAllocator* self);
};

// Copies between devices. A null entry of `streams` (or a null `streams`): copy now.
struct OrtDataTransferImpl {
  uint32_t ort_version_supported;
  void (*Release)(OrtDataTransferImpl* self);
  bool (*CanCopy)(const OrtDataTransferImpl* self, const OrtMemoryDevice* from,
                  const OrtMemoryDevice* to);
  OrtStatus* (*CopyTensors)(OrtDataTransferImpl* self, const OrtValue** from, OrtValue** to,
                            OrtSyncStream** streams, size_t count);
};

// A point in a stream's work for which others can wait.
struct OrtSyncNotificationImpl {
  uint32_t ort_version_supported;
  void (*Release)(OrtSyncNotificationImpl* self);
  OrtStatus* (*Activate)(OrtSyncNotificationImpl* self);
  OrtStatus* (*WaitOnDevice)(OrtSyncNotificationImpl* self, OrtSyncStream* consumer_stream);
  OrtStatus* (*WaitOnHost)(OrtSyncNotificationImpl* self);
};

struct OrtSyncStreamImpl {
  uint32_t ort_version_supported;
  void (*Release)(OrtSyncStreamImpl* self);
  void* (*GetHandle)(OrtSyncStreamImpl* self);
  OrtStatus* (*CreateNotification)(OrtSyncStreamImpl* self, OrtSyncNotificationImpl** notification);
  OrtStatus* (*Flush)(OrtSyncStreamImpl* self);
  OrtStatus* (*OnSessionRunEnd)(OrtSyncStreamImpl* self);
};

// One provider of one session.
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
  HIDET_UNUSED(5, 9);
  OrtStatus* (*CreateAllocator)(
      OrtEp* self, const OrtMemoryInfo* memory_info, OrtAllocator** allocator);
  OrtStatus* (*CreateSyncStreamForDevice)(
      OrtEp* self, const OrtMemoryDevice* memory_device, OrtSyncStreamImpl** stream);
  HIDET_UNUSED(12, 12);
  OrtStatus* (*GetKernelRegistry)(OrtEp* self, const OrtKernelRegistry** kernel_registry);
  HIDET_UNUSED(14, 14);
  OrtStatus* (*Sync)(OrtEp* self);
  HIDET_UNUSED(16, 22);
  OrtStatus* (*GetDefaultMemoryDevice)(const OrtEp* self, const OrtMemoryDevice** device);
  HIDET_UNUSED(24, 25);
};

// What CreateEpFactories returns.
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
  HIDET_UNUSED(8, 8);
  OrtStatus* (*CreateAllocator)(
      OrtEpFactory* self, const OrtMemoryInfo* memory_info,
      const OrtKeyValuePairs* allocator_options, OrtAllocator** allocator);
  void (*ReleaseAllocator)(OrtEpFactory* self, OrtAllocator* allocator);
  OrtStatus* (*CreateDataTransfer)(OrtEpFactory* self, OrtDataTransferImpl** data_transfer);
  bool (*IsStreamAware)(const OrtEpFactory* self);
  OrtStatus* (*CreateSyncStreamForDevice)(
      OrtEpFactory* self, const OrtMemoryDevice* memory_device,
      const OrtKeyValuePairs* stream_options, OrtSyncStreamImpl** stream);
  HIDET_UNUSED(14, 20);
};

#undef HIDET_UNUSED
#define HIDET_SLOT(type, member, slot) \
  static_assert(offsetof(type, member) == (slot) * sizeof(void*), #type "." #member)

HIDET_SLOT(OrtNodeComputeInfo, CreateState, 1);
HIDET_SLOT(OrtNodeComputeInfo, Compute, 2);
HIDET_SLOT(OrtNodeComputeInfo, ReleaseState, 3);
HIDET_SLOT(OrtKernelImpl, Compute, 1);
HIDET_SLOT(OrtKernelImpl, Release, 2);
HIDET_SLOT(OrtAllocator, Alloc, 1);
HIDET_SLOT(OrtAllocator, Free, 2);
HIDET_SLOT(OrtAllocator, Info, 3);
HIDET_SLOT(OrtAllocator, Reserve, 4);
HIDET_SLOT(OrtAllocator, GetStats, 5);
HIDET_SLOT(OrtAllocator, AllocOnStream, 6);
HIDET_SLOT(OrtAllocator, Shrink, 7);
HIDET_SLOT(OrtDataTransferImpl, Release, 1);
HIDET_SLOT(OrtDataTransferImpl, CanCopy, 2);
HIDET_SLOT(OrtDataTransferImpl, CopyTensors, 3);
HIDET_SLOT(OrtSyncNotificationImpl, Release, 1);
HIDET_SLOT(OrtSyncNotificationImpl, Activate, 2);
HIDET_SLOT(OrtSyncNotificationImpl, WaitOnDevice, 3);
HIDET_SLOT(OrtSyncNotificationImpl, WaitOnHost, 4);
HIDET_SLOT(OrtSyncStreamImpl, Release, 1);
HIDET_SLOT(OrtSyncStreamImpl, GetHandle, 2);
HIDET_SLOT(OrtSyncStreamImpl, CreateNotification, 3);
HIDET_SLOT(OrtSyncStreamImpl, Flush, 4);
HIDET_SLOT(OrtSyncStreamImpl, OnSessionRunEnd, 5);
HIDET_SLOT(OrtEp, GetName, 1);
HIDET_SLOT(OrtEp, GetCapability, 2);
HIDET_SLOT(OrtEp, Compile, 3);
HIDET_SLOT(OrtEp, ReleaseNodeComputeInfos, 4);
HIDET_SLOT(OrtEp, CreateAllocator, 10);
HIDET_SLOT(OrtEp, CreateSyncStreamForDevice, 11);
HIDET_SLOT(OrtEp, GetKernelRegistry, 13);
HIDET_SLOT(OrtEp, Sync, 15);
HIDET_SLOT(OrtEp, GetDefaultMemoryDevice, 23);
HIDET_SLOT(OrtEpFactory, GetName, 1);
HIDET_SLOT(OrtEpFactory, GetVendor, 2);
HIDET_SLOT(OrtEpFactory, GetSupportedDevices, 3);
HIDET_SLOT(OrtEpFactory, CreateEp, 4);
HIDET_SLOT(OrtEpFactory, ReleaseEp, 5);
HIDET_SLOT(OrtEpFactory, GetVendorId, 6);
HIDET_SLOT(OrtEpFactory, GetVersion, 7);
HIDET_SLOT(OrtEpFactory, CreateAllocator, 9);
HIDET_SLOT(OrtEpFactory, ReleaseAllocator, 10);
HIDET_SLOT(OrtEpFactory, CreateDataTransfer, 11);
HIDET_SLOT(OrtEpFactory, IsStreamAware, 12);
HIDET_SLOT(OrtEpFactory, CreateSyncStreamForDevice, 13);

static_assert(sizeof(OrtEp) == 208 && sizeof(OrtEpFactory) == 168, "sizes of kHeaderVersion");
static_assert(sizeof(OrtNodeComputeInfo) == 32 && sizeof(OrtNodeFusionOptions) == 8);
static_assert(sizeof(OrtKernelImpl) == 40 && sizeof(OrtAllocator) == 64);
static_assert(sizeof(OrtDataTransferImpl) == 32 && sizeof(OrtSyncStreamImpl) == 48);
static_assert(sizeof(OrtSyncNotificationImpl) == 40);
static_assert(offsetof(OrtNodeFusionOptions, drop_constant_initializers) == 4);
static_assert(offsetof(OrtKernelImpl, flags) == 4);

#undef HIDET_SLOT

}  // namespace hidet::ort
