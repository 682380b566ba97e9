// Tensor maps, for copies by the tensor memory accelerator.
#include <cstring>

#include "hidet_core/emulator/driver/api.h"
#include "hidet_core/emulator/driver/tensor_map.h"

namespace hidet::emu {

HIDET_EMU_API cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, uint32_t rank,
                                     void* address, const uint64_t* sizes,
                                     const uint64_t* strides, const uint32_t* box,
                                     const uint32_t* element_strides,
                                     CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                     CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
  return Enter(Needs::kInit, [&](State&) {
    RequireArgument(map, "tensorMap");
    RequireArgument(sizes, "globalDim");
    RequireArgument(box, "boxDim");
    RequireArgument(element_strides, "elementStrides");
    if (rank > 1) RequireArgument(strides, "globalStrides");
    if (reinterpret_cast<uintptr_t>(map) % 64 != 0) {
      throw Fault{CUDA_ERROR_INVALID_VALUE, "tensor map: the map itself must be 64-byte aligned"};
    }
    const TensorMap encoded = EncodeTiled({type, rank, address, sizes, strides, box,
                                           element_strides, interleave, swizzle, fill});
    *map = CUtensorMap{};
    std::memcpy(map, &encoded, sizeof(encoded));
  });
}

HIDET_EMU_API cuTensorMapReplaceAddress(CUtensorMap* map, void* address) {
  return Enter(Needs::kInit, [&](State&) {
    RequireArgument(map, "tensorMap");
    TensorMap encoded;
    std::memcpy(&encoded, map, sizeof(encoded));
    if (encoded.magic != TensorMap::kMagic || reinterpret_cast<uintptr_t>(address) % 16 != 0) {
      throw Fault{CUDA_ERROR_INVALID_VALUE, "no tensor map, or an address that is not aligned"};
    }
    encoded.address = reinterpret_cast<uintptr_t>(address);
    std::memcpy(map, &encoded, sizeof(encoded));
  });
}

}  // namespace hidet::emu
