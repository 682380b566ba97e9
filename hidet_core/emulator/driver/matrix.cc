#include "hidet_core/emulator/driver/matrix.h"

#include <cstring>

#include "hidet_core/emulator/driver/tensor_map.h"

namespace hidet::emu {
namespace {

uint32_t Field(uint64_t descriptor, unsigned first_bit) {
  return static_cast<uint32_t>(descriptor >> first_bit & 0x3FFF) << 4;
}

float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// All halves as floats: converting one by one is slow without the instruction.
const std::vector<float>& HalfTable() {
  static const std::vector<float>* table = [] {
    auto* values = new std::vector<float>(1 << 16);
    for (uint32_t bits = 0; bits < values->size(); ++bits) {
      const auto narrow = static_cast<uint16_t>(bits);
      _Float16 value;
      std::memcpy(&value, &narrow, sizeof(value));
      (*values)[bits] = static_cast<float>(value);
    }
    return values;
  }();
  return *table;
}

constexpr unsigned kSwizzles[] = {0, 128, 64, 32};  // by the descriptor's bits 62 and 63

}  // namespace

MatrixView::MatrixView(uint64_t descriptor, bool transposed, hidet_emu::MatrixType type)
    : type_(type), transposed_(transposed), bytes_(type == hidet_emu::kTfloat32 ? 4 : 2),
      start_(Field(descriptor, 0)), leading_(Field(descriptor, 16)),
      stride_(Field(descriptor, 32)), base_offset_(descriptor >> 49 & 7),
      swizzle_(kSwizzles[descriptor >> 62]) {}

uint32_t MatrixView::Place(unsigned row, unsigned k) const {
  uint32_t offset = 0;
  if (!transposed_) {
    const uint32_t byte = k * bytes_, pitch = swizzle_ == 0 ? kPieceBytes : swizzle_;
    const uint32_t next = swizzle_ == 0 ? leading_ : kPieceBytes;
    offset = row % 8 * pitch + row / 8 * stride_ + byte / kPieceBytes * next + byte % kPieceBytes;
  } else {
    const uint32_t piece = row / 8, within = row % 8 * bytes_;
    if (swizzle_ == 0) {
      offset = piece * stride_ + k % 8 * kPieceBytes + k / 8 * leading_ + within;
    } else {
      const uint32_t pieces = swizzle_ / kPieceBytes;
      offset = piece % pieces * kPieceBytes + piece / pieces * leading_ + k % 8 * swizzle_ +
               k / 8 * stride_ + within;
    }
  }
  return SwizzleAddress(start_ + offset, swizzle_);
}

float MatrixView::Value(const char* place) const {
  uint32_t word = 0;
  std::memcpy(&word, place, bytes_);
  if (type_ == hidet_emu::kFloat16) return HalfTable()[word];
  return FromBits(type_ == hidet_emu::kBfloat16 ? word << 16 : word & ~0x1FFFu);
}

std::vector<float> MultiplyMatrices(const std::vector<float>& a, const std::vector<float>& b,
                                    unsigned columns) {
  const size_t depth = a.size() / kMatrixRows;
  std::vector<float> turned(b.size());
  for (size_t column = 0; column < columns; ++column) {
    for (size_t k = 0; k < depth; ++k) turned[k * columns + column] = b[column * depth + k];
  }
  std::vector<float> product(size_t{kMatrixRows} * columns);
  for (size_t row = 0; row < kMatrixRows; ++row) {
    float* sums = product.data() + row * columns;
    for (size_t k = 0; k < depth; ++k) {
      const float left = a[row * depth + k];
      const float* right = turned.data() + k * columns;
      for (size_t column = 0; column < columns; ++column) sums[column] += left * right[column];
    }
  }
  return product;
}

}  // namespace hidet::emu
