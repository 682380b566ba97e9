#include "ep/csrc/tensor_copy.h"

#include <climits>
#include <utility>
#include <vector>

#include "ep/csrc/device_memory.h"

namespace hidet {
namespace {

// ONNX's TensorProto.DataType: all types of a fixed size that ONNX Runtime registers.
constexpr int kCopiedTypes[] = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16};

class CopyKernel : public ort::OrtKernelImpl {
 public:
  CopyKernel(Api api, std::shared_ptr<cuda::Device> device)
      : ort::OrtKernelImpl{}, api_(api), device_(std::move(device)) {
    ort_version_supported = api.version();
    Compute = &CopyKernel::OnCompute;
    Release = [](ort::OrtKernelImpl* self) { delete static_cast<CopyKernel*>(self); };
  }

 private:
  static ort::OrtStatus* OnCompute(ort::OrtKernelImpl* self, ort::OrtKernelContext* context) {
    const auto& own = *static_cast<CopyKernel*>(self);
    return own.api_.Guard([&] { own.Run(context); });
  }

  void Run(ort::OrtKernelContext* context) const {
    const ort::OrtValue* from = nullptr;
    api_.Check(api_->KernelContext_GetInput(context, 0, &from));
    ort::ONNXTensorElementDataType dtype{};
    const int64_t* shape = nullptr;
    size_t rank = 0;
    api_.Check(api_->GetTensorElementTypeAndShapeDataReference(from, &dtype, &shape, &rank));
    ort::OrtValue* to = nullptr;
    api_.Check(api_->KernelContext_GetOutput(context, 0, shape, rank, &to));
    void* handle = nullptr;
    api_.Check(api_->KernelContext_GetGPUComputeStream(context, &handle));
    const auto stream = static_cast<CUstream>(handle);
    CopyTensor(api_, *device_, *from, *to, stream);
    // What comes next may be a kernel of the CPU provider.
    if (stream == nullptr || PlaceOf(api_, *to).place == Place::kHost) device_->Synchronize(stream);
  }

  Api api_;
  std::shared_ptr<cuda::Device> device_;
};

std::vector<const ort::OrtDataType*> CopiedTypes(const Api& api) {
  std::vector<const ort::OrtDataType*> types;
  for (const int number : kCopiedTypes) {
    const ort::OrtDataType* type = nullptr;
    const auto element = static_cast<ort::ONNXTensorElementDataType>(number);
    api.Check(api.ep().GetTensorDataType(element, &type));
    types.push_back(type);
  }
  return types;
}

}  // namespace

TensorPlace PlaceOf(const Api& api, const ort::OrtValue& value) {
  const ort::OrtMemoryDevice* memory = api.ep().Value_GetMemoryDevice(&value);
  if (memory == nullptr) Fail(ErrorCode::kInvalidArgument, "HidetEP: a value that is no tensor");
  if (!IsGpuMemory(api, *memory)) return {Place::kHost, 0};
  return {Place::kCuda, static_cast<int>(api.ep().MemoryDevice_GetDeviceId(memory))};
}

void CopyTensor(const Api& api, cuda::Device& device, const ort::OrtValue& from, ort::OrtValue& to,
                CUstream stream) {
  size_t bytes = 0;
  api.Check(api->GetTensorSizeInBytes(&from, &bytes));
  const void* source = nullptr;
  void* target = nullptr;
  api.Check(api->GetTensorData(&from, &source));
  api.Check(api->GetTensorMutableData(&to, &target));
  RequireMemory(source, bytes, "the source of a copy");
  RequireMemory(target, bytes, "a copy");
  device.Copy(target, PlaceOf(api, to).place, source, PlaceOf(api, from).place, bytes, stream);
}

CopyKernels::CopyKernels(Api api, const char* provider, int ordinal)
    : api_(api), ordinal_(ordinal) {
  ort::OrtKernelRegistry* registry = nullptr;
  api_.Check(api_.ep().CreateKernelRegistry(&registry));
  registry_ = {registry, {api_.ep().ReleaseKernelRegistry}};
  Register(provider, "MemcpyFromHost", /*to_host=*/false);
  Register(provider, "MemcpyToHost", /*to_host=*/true);
}

void CopyKernels::Register(const char* provider, const char* op_type, bool to_host) {
  const ort::OrtEpApi& ep = api_.ep();
  ort::OrtKernelDefBuilder* raw = nullptr;
  api_.Check(ep.CreateKernelDefBuilder(&raw));
  const Owned<ort::OrtKernelDefBuilder> builder{raw, {ep.ReleaseKernelDefBuilder}};
  api_.Check(ep.KernelDefBuilder_SetOperatorType(raw, op_type));
  api_.Check(ep.KernelDefBuilder_SetDomain(raw, ""));
  api_.Check(ep.KernelDefBuilder_SetSinceVersion(raw, 1, INT_MAX));
  api_.Check(ep.KernelDefBuilder_SetExecutionProvider(raw, provider));
  const std::vector<const ort::OrtDataType*> types = CopiedTypes(api_);
  api_.Check(ep.KernelDefBuilder_AddTypeConstraint(raw, "T", types.data(), types.size()));
  api_.Check(to_host ? ep.KernelDefBuilder_SetOutputMemType(raw, 0, ort::kMemTypeCpuOutput)
                     : ep.KernelDefBuilder_SetInputMemType(raw, 0, ort::kMemTypeCpuInput));
  ort::OrtKernelDef* definition = nullptr;
  api_.Check(ep.KernelDefBuilder_Build(raw, &definition));
  const Owned<ort::OrtKernelDef> owned{definition, {ep.ReleaseKernelDef}};
  api_.Check(ep.KernelRegistry_AddKernel(registry_.get(), definition, &CopyKernels::OnMake, this));
}

ort::OrtStatus* CopyKernels::OnMake(void* self, const ort::OrtKernelInfo*,
                                    ort::OrtKernelImpl** kernel) {
  const auto& own = *static_cast<const CopyKernels*>(self);
  return own.api_.Guard(
      [&] { *kernel = new CopyKernel(own.api_, cuda::Device::Get(own.ordinal_)); });
}

DataTransfer::DataTransfer(Api api) : ort::OrtDataTransferImpl{}, api_(api) {
  ort_version_supported = api.version();
  Release = [](ort::OrtDataTransferImpl* self) { delete static_cast<DataTransfer*>(self); };
  CanCopy = &DataTransfer::OnCanCopy;
  CopyTensors = &DataTransfer::OnCopyTensors;
}

bool DataTransfer::OnCanCopy(const ort::OrtDataTransferImpl* self, const ort::OrtMemoryDevice* from,
                             const ort::OrtMemoryDevice* to) {
  const Api& api = static_cast<const DataTransfer*>(self)->api_;
  const auto is_host = [&](const ort::OrtMemoryDevice& memory) {
    return api.ep().MemoryDevice_GetDeviceType(&memory) == ort::kCpuMemory;
  };
  const auto is_ours = [&](const ort::OrtMemoryDevice& memory) {
    const uint32_t vendor = api.ep().MemoryDevice_GetVendorId(&memory);
    // Up to onnxruntime 1.29 Python's bind_output('cuda') makes devices of no vendor.
    return IsGpuMemory(api, memory) && (vendor == kNvidia || vendor == 0);
  };
  return (is_ours(*from) && (is_ours(*to) || is_host(*to))) || (is_host(*from) && is_ours(*to));
}

ort::OrtStatus* DataTransfer::OnCopyTensors(ort::OrtDataTransferImpl* self,
                                            const ort::OrtValue** from, ort::OrtValue** to,
                                            ort::OrtSyncStream** streams, size_t count) {
  auto& own = *static_cast<DataTransfer*>(self);
  return own.api_.Guard([&] {
    for (size_t i = 0; i < count; ++i) {
      own.Copy(*from[i], *to[i], streams == nullptr ? nullptr : streams[i]);
    }
  });
}

void DataTransfer::Copy(const ort::OrtValue& from, ort::OrtValue& to, ort::OrtSyncStream* stream) {
  const TensorPlace source = PlaceOf(api_, from);
  const TensorPlace target = PlaceOf(api_, to);
  if (source.place == Place::kCuda && target.place == Place::kCuda &&
      source.ordinal != target.ordinal) {
    Fail(ErrorCode::kInvalidArgument,
         "HidetEP: a tensor on CUDA device %d cannot be copied to device %d: copy it to the host",
         source.ordinal, target.ordinal);
  }
  cuda::Device& device =
      Device(source.place == Place::kCuda ? source.ordinal : target.ordinal);
  void* handle = stream == nullptr ? nullptr : api_->SyncStream_GetHandle(stream);
  CopyTensor(api_, device, from, to, static_cast<CUstream>(handle));
  if (stream == nullptr) device.Synchronize(CUstream{nullptr});
}

cuda::Device& DataTransfer::Device(int ordinal) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<cuda::Device>& device = devices_[ordinal];
  if (device == nullptr) device = cuda::Device::Get(ordinal);
  return *device;
}

}  // namespace hidet
