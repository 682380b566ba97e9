// Element types, numbered as ONNX's TensorProto.DataType.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hidet {

enum class DataType : int32_t {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
  kFloat8e4m3fn = 17,
  kFloat8e4m3fnuz = 18,
  kFloat8e5m2 = 19,
  kFloat8e5m2fnuz = 20,
};

// Name and size of an element type; bytes is 0 for a type the runtime does not know.
struct DataTypeInfo {
  const char* name;
  size_t bytes;
};

constexpr DataTypeInfo Info(DataType type) {
  switch (type) {
    case DataType::kFloat: return {"float32", 4};
    case DataType::kUint8: return {"uint8", 1};
    case DataType::kInt8: return {"int8", 1};
    case DataType::kUint16: return {"uint16", 2};
    case DataType::kInt16: return {"int16", 2};
    case DataType::kInt32: return {"int32", 4};
    case DataType::kInt64: return {"int64", 8};
    case DataType::kBool: return {"bool", 1};
    case DataType::kFloat16: return {"float16", 2};
    case DataType::kDouble: return {"float64", 8};
    case DataType::kUint32: return {"uint32", 4};
    case DataType::kUint64: return {"uint64", 8};
    case DataType::kBfloat16: return {"bfloat16", 2};
    case DataType::kFloat8e4m3fn: return {"float8_e4m3fn", 1};
    case DataType::kFloat8e4m3fnuz: return {"float8_e4m3fnuz", 1};
    case DataType::kFloat8e5m2: return {"float8_e5m2", 1};
    case DataType::kFloat8e5m2fnuz: return {"float8_e5m2fnuz", 1};
  }
  return {"unknown", 0};
}

}  // namespace hidet
