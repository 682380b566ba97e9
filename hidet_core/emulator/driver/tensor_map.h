// Tensor maps: what cuTensorMapEncodeTiled writes into a CUtensorMap, and the boxes of a tensor
// that copies of the tensor memory accelerator move.
//
// The device's own format is secret, so ours is another one: it fits in the same 128 bytes.
// Plain values; what a map points to is the caller's.
#pragma once

#include <cstdint>
#include <string>

#include "hidet_core/runtime/cuda/cuda_abi.h"

namespace hidet::emu {

struct TensorMap {
  static constexpr uint32_t kMagic = 0x74656e73;
  static constexpr unsigned kRanks = 5;

  uint32_t magic;
  uint8_t rank, element_bytes, swizzle_bytes;  // 0: rows lie as they are; 32, 64, 128
  uint8_t fills_nan;                           // what lies outside is NaN instead of 0
  uint64_t address;
  uint64_t strides[kRanks - 1];  // bytes, of all dimensions but the first
  uint32_t last[kRanks];         // sizes less one
  uint16_t box[kRanks];
  uint16_t type;

  uint64_t Size(unsigned axis) const { return uint64_t{last[axis]} + 1; }
  size_t RowBytes() const { return size_t{box[0]} * element_bytes; }
  size_t Rows() const;
  size_t Bytes() const { return RowBytes() * Rows(); }

  // Of an address in shared memory, where the element lies that would be there without swizzling.
  uint32_t Swizzle(uint32_t address) const;
};
static_assert(sizeof(TensorMap) <= sizeof(CUtensorMap));

// A piece of a row of a box that lies inside of the tensor.
struct TensorPiece {
  size_t offset;     // bytes from the box's start, not swizzled
  uint64_t address;  // in global memory
  size_t bytes;      // 0: the row lies outside
};

// The row of the box whose first element is at `place`.
TensorPiece RowOf(const TensorMap& map, const int32_t* place, size_t row);

// What cuTensorMapEncodeTiled is told. Throws INVALID_VALUE or NOT_SUPPORTED with the reason.
struct TiledArguments {
  CUtensorMapDataType type;
  uint32_t rank;
  const void* address;
  const uint64_t* sizes;
  const uint64_t* strides;
  const uint32_t* box;
  const uint32_t* element_strides;
  CUtensorMapInterleave interleave;
  CUtensorMapSwizzle swizzle;
  CUtensorMapFloatOOBfill fill;
};
TensorMap EncodeTiled(const TiledArguments& arguments);

// XOR of the 16-byte pieces of rows of `bytes` bytes with the number of the row, as tensor copies
// and wgmma do it on addresses of shared memory.
inline uint32_t SwizzleAddress(uint32_t address, unsigned bytes) {
  return bytes == 0 ? address : address ^ ((address >> 7 & (bytes / 16 - 1)) << 4);
}

}  // namespace hidet::emu
