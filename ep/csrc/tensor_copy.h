// Copies of tensors between host and GPU: ONNX Runtime's data transfer, and the kernels of nodes
// MemcpyFromHost and MemcpyToHost, which it puts between our partitions and the CPU provider's.
//
// Without kernels of ours ONNX Runtime would take the CPU provider's and plan what MemcpyFromHost
// makes in host memory. Threading: thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "ep/csrc/gpus.h"
#include "ep/csrc/ort_api.h"
#include "ep/csrc/ort_callbacks.h"
#include "hidet_core/runtime/cuda/device.h"

namespace hidet {

// Where a tensor lies. Throws Error(kInvalidArgument) for a value that is no tensor.
struct TensorPlace {
  Place place;
  int ordinal;  // of the GPU
};
TensorPlace PlaceOf(const Api& api, const ort::OrtValue& value);

// Copies in the order of `stream`, on the GPU where one of the two lies. Throws Error.
void CopyTensor(const Api& api, cuda::Device& device, const ort::OrtValue& from, ort::OrtValue& to,
                CUstream stream);

class DataTransfer : public ort::OrtDataTransferImpl {
 public:
  explicit DataTransfer(Api api);

 private:
  static bool OnCanCopy(const ort::OrtDataTransferImpl* self, const ort::OrtMemoryDevice* from,
                        const ort::OrtMemoryDevice* to);
  static ort::OrtStatus* OnCopyTensors(ort::OrtDataTransferImpl* self, const ort::OrtValue** from,
                                       ort::OrtValue** to, ort::OrtSyncStream** streams,
                                       size_t count);
  void Copy(const ort::OrtValue& from, ort::OrtValue& to, ort::OrtSyncStream* stream);
  cuda::Device& Device(int ordinal);

  Api api_;
  std::mutex mutex_;
  std::map<int, std::shared_ptr<cuda::Device>> devices_;  // that were used
};

// The two kernels of one session. `ordinal`: of the GPU.
class CopyKernels {
 public:
  CopyKernels(Api api, const char* provider, int ordinal);
  CopyKernels(const CopyKernels&) = delete;
  CopyKernels& operator=(const CopyKernels&) = delete;

  const ort::OrtKernelRegistry* registry() const { return registry_.get(); }

 private:
  static ort::OrtStatus* OnMake(void* self, const ort::OrtKernelInfo* info,
                                ort::OrtKernelImpl** kernel);
  void Register(const char* provider, const char* op_type, bool to_host);

  Api api_;
  int ordinal_;
  Owned<ort::OrtKernelRegistry> registry_;
};

}  // namespace hidet
