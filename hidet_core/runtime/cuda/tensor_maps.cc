#include "hidet_core/runtime/cuda/tensor_maps.h"

#include <string>

namespace hidet::cuda {
namespace {

// What cuTensorMapEncodeTiled demands.
constexpr int64_t kAlignment = 16;
constexpr int64_t kMaxSize = (int64_t{1} << 31) - 1024;  // 2^32, but kernels count to 2^31
constexpr int64_t kMaxStride = int64_t{1} << 40;

CUtensorMapDataType TypeOf(DataType type) {
  switch (type) {
    case DataType::kFloat16: return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case DataType::kBfloat16: return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case DataType::kFloat: return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    case DataType::kDouble: return CU_TENSOR_MAP_DATA_TYPE_FLOAT64;
    default: break;
  }
  switch (Info(type).bytes) {  // only floats are not copied as they are: NaNs outside
    case 1: return CU_TENSOR_MAP_DATA_TYPE_UINT8;
    case 2: return CU_TENSOR_MAP_DATA_TYPE_UINT16;
    case 4: return CU_TENSOR_MAP_DATA_TYPE_UINT32;
    default: return CU_TENSOR_MAP_DATA_TYPE_UINT64;
  }
}

CUtensorMapSwizzle SwizzleOf(unsigned bytes) {
  switch (bytes) {
    case 32: return CU_TENSOR_MAP_SWIZZLE_32B;
    case 64: return CU_TENSOR_MAP_SWIZZLE_64B;
    case 128: return CU_TENSOR_MAP_SWIZZLE_128B;
    default: return CU_TENSOR_MAP_SWIZZLE_NONE;
  }
}

}  // namespace

void TensorMaps::Add(const Binding& binding, const LaunchSpec& launch,
                     const ArgumentSpec& argument, size_t parameter, size_t step) {
  const TensorMapSpec& spec = *argument.map;
  Map map{{}, &launch, &spec, parameter, step, kNowhere, {}, {}};
  int64_t last = binding.Offset(launch, argument);  // byte, of the tensor's last element
  bool is_empty = false;
  for (size_t axis = 0; axis < spec.axes.size(); ++axis) {
    const int64_t size = binding.values()[spec.axes[axis].size];
    const int64_t stride = binding.values()[spec.axes[axis].stride];
    const bool is_first = axis == 0;
    const int64_t element = static_cast<int64_t>(Info(spec.dtype).bytes);
    if (size < 0 || size > kMaxSize || stride < 0 || stride >= kMaxStride ||
        (is_first ? stride != element : stride % kAlignment != 0)) {
      Fail(ErrorCode::kInvalidArgument,
           "launch '%s': a tensor map has size %lld and a stride of %lld bytes in dimension %zu, "
           "expected multiples of 16 bytes (of the first dimension, %lld) below 2^40, and at most "
           "%lld elements",
           launch.name.c_str(), static_cast<long long>(size), static_cast<long long>(stride), axis,
           static_cast<long long>(element), static_cast<long long>(kMaxSize));
    }
    is_empty = is_empty || size == 0;
    last += (size - 1) * stride;
    map.sizes[axis] = static_cast<uint64_t>(size);
    map.strides[axis] = static_cast<uint64_t>(stride);
  }
  const int64_t bytes = binding.values()[binding.plan().buffers[argument.buffer].bytes];
  if (!is_empty && last + static_cast<int64_t>(Info(spec.dtype).bytes) > bytes) {
    Fail(ErrorCode::kInvalidArgument,
         "launch '%s': a tensor map reaches byte %lld of buffer %u, which has %lld",
         launch.name.c_str(), static_cast<long long>(last), argument.buffer,
         static_cast<long long>(bytes));
  }
  if (is_empty) map.sizes[0] = 0;
  maps_.push_back(map);
}

void TensorMaps::Place(std::vector<void*>& addresses) {
  for (Map& map : maps_) addresses[map.parameter] = &map.encoded;
}

// Of a tensor without elements, which may have no address, a kernel loads no box.
void TensorMaps::Encode(Map& map) const {
  map.encoded = CUtensorMap{};
  if (map.sizes[0] == 0) return;
  const auto rank = static_cast<uint32_t>(map.spec->axes.size());
  uint32_t box[kMaxMapRank];
  uint32_t steps[kMaxMapRank];
  for (uint32_t axis = 0; axis < rank; ++axis) {
    box[axis] = map.spec->axes[axis].box;
    steps[axis] = 1;
  }
  const CUresult code = device_.functions().TensorMapEncodeTiled(
      &map.encoded, TypeOf(map.spec->dtype), rank, reinterpret_cast<void*>(map.address), map.sizes,
      map.strides + 1, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, SwizzleOf(map.spec->swizzle),
      CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (code == CUDA_SUCCESS) return;
  const std::string what = "launch '" + map.launch->name + "'";
  device_.Check(code, "cuTensorMapEncodeTiled", what.c_str());
}

}  // namespace hidet::cuda
