#include "hidet_core/emulator/driver/tensor_map.h"

#include <algorithm>

#include "hidet_core/emulator/driver/fault.h"

namespace hidet::emu {
namespace {

constexpr uint64_t kMaxSize = uint64_t{1} << 32, kMaxStride = uint64_t{1} << 40;
constexpr uint32_t kMaxBox = 256;

[[noreturn]] void Invalid(const std::string& text) {
  throw Fault{CUDA_ERROR_INVALID_VALUE, "tensor map: " + text};
}

unsigned ElementBytes(CUtensorMapDataType type) {
  switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8: return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16: return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT32:
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32_FTZ:
    case CU_TENSOR_MAP_DATA_TYPE_TFLOAT32:
    case CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ: return 4;
    case CU_TENSOR_MAP_DATA_TYPE_UINT64:
    case CU_TENSOR_MAP_DATA_TYPE_INT64:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT64: return 8;
  }
  Invalid(Format("data type %d", type));
}

bool IsFloat(CUtensorMapDataType type) { return type >= CU_TENSOR_MAP_DATA_TYPE_FLOAT16; }

unsigned SwizzleBytes(CUtensorMapSwizzle swizzle) {
  switch (swizzle) {
    case CU_TENSOR_MAP_SWIZZLE_NONE: return 0;
    case CU_TENSOR_MAP_SWIZZLE_32B: return 32;
    case CU_TENSOR_MAP_SWIZZLE_64B: return 64;
    case CU_TENSOR_MAP_SWIZZLE_128B: return 128;
  }
  Invalid(Format("swizzle %d", swizzle));
}

void CheckAxis(const TiledArguments& given, unsigned axis) {
  if (given.sizes[axis] == 0 || given.sizes[axis] > kMaxSize) {
    Invalid(Format("dimension %u has size %zu, 1 to 2^32 are possible", axis,
                   static_cast<size_t>(given.sizes[axis])));
  }
  if (given.box[axis] == 0 || given.box[axis] > kMaxBox) {
    Invalid(Format("box of %u in dimension %u, 1 to 256 are possible", given.box[axis], axis));
  }
  if (given.element_strides[axis] != 1) {
    throw Fault{CUDA_ERROR_NOT_SUPPORTED,
                Format("tensor map: the emulator has no element strides (%u in dimension %u)",
                       given.element_strides[axis], axis)};
  }
  if (axis == 0) return;
  const uint64_t stride = given.strides[axis - 1];
  if (stride % 16 != 0 || stride >= kMaxStride) {
    Invalid(Format("stride of %zu bytes in dimension %u: a multiple of 16 below 2^40 is needed",
                   static_cast<size_t>(stride), axis));
  }
}

}  // namespace

size_t TensorMap::Rows() const {
  size_t rows = 1;
  for (unsigned axis = 1; axis < rank; ++axis) rows *= box[axis];
  return rows;
}

uint32_t TensorMap::Swizzle(uint32_t address) const {
  return SwizzleAddress(address, swizzle_bytes);
}

TensorPiece RowOf(const TensorMap& map, const int32_t* place, size_t row) {
  TensorPiece piece{row * map.RowBytes(), map.address, 0};
  for (unsigned axis = 1; axis < map.rank; ++axis) {
    const int64_t index = int64_t{place[axis]} + static_cast<int64_t>(row % map.box[axis]);
    row /= map.box[axis];
    if (index < 0 || static_cast<uint64_t>(index) >= map.Size(axis)) return piece;
    piece.address += static_cast<uint64_t>(index) * map.strides[axis - 1];
  }
  const int64_t begin = std::max<int64_t>(place[0], 0);
  const int64_t end = std::min<int64_t>(int64_t{place[0]} + map.box[0],
                                        static_cast<int64_t>(map.Size(0)));
  if (begin >= end) return piece;
  piece.offset += static_cast<size_t>(begin - place[0]) * map.element_bytes;
  piece.address += static_cast<uint64_t>(begin) * map.element_bytes;
  piece.bytes = static_cast<size_t>(end - begin) * map.element_bytes;
  return piece;
}

TensorMap EncodeTiled(const TiledArguments& given) {
  TensorMap map{};
  map.magic = TensorMap::kMagic;
  if (given.rank < 1 || given.rank > TensorMap::kRanks) Invalid(Format("rank %u", given.rank));
  map.rank = static_cast<uint8_t>(given.rank);
  map.type = static_cast<uint16_t>(given.type);
  map.element_bytes = static_cast<uint8_t>(ElementBytes(given.type));
  map.swizzle_bytes = static_cast<uint8_t>(SwizzleBytes(given.swizzle));
  map.address = reinterpret_cast<uintptr_t>(given.address);
  if (map.address == 0 || map.address % 16 != 0) {
    Invalid(Format("address %#zx is no multiple of 16", static_cast<size_t>(map.address)));
  }
  if (given.interleave != CU_TENSOR_MAP_INTERLEAVE_NONE) {
    throw Fault{CUDA_ERROR_NOT_SUPPORTED, "tensor map: the emulator has no interleaved layouts"};
  }
  map.fills_nan = given.fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA ? 1 : 0;
  if (map.fills_nan != 0 && !IsFloat(given.type)) Invalid("NaN as the fill of integers");
  for (unsigned axis = 0; axis < map.rank; ++axis) {
    CheckAxis(given, axis);
    map.last[axis] = static_cast<uint32_t>(given.sizes[axis] - 1);
    map.box[axis] = static_cast<uint16_t>(given.box[axis]);
    if (axis > 0) map.strides[axis - 1] = given.strides[axis - 1];
  }
  if (map.RowBytes() % 16 != 0) {
    Invalid(Format("rows of the box have %zu bytes, no multiple of 16", map.RowBytes()));
  }
  if (map.swizzle_bytes != 0 && map.RowBytes() > map.swizzle_bytes) {
    Invalid(Format("rows of the box have %zu bytes, more than the swizzle's %u", map.RowBytes(),
                   map.swizzle_bytes));
  }
  if (map.swizzle_bytes != 0 && map.RowBytes() < map.swizzle_bytes) {
    throw Fault{CUDA_ERROR_NOT_SUPPORTED,
                Format("tensor map: the emulator swizzles whole rows of %u bytes only",
                       map.swizzle_bytes)};
  }
  return map;
}

}  // namespace hidet::emu
