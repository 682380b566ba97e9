// Matrices as wgmma sees them: descriptors of operands in shared memory, and their product.
//
// The bits of a descriptor and the layouts are those of PTX ISA 8, "Asynchronous Warpgroup Level
// Matrix Shared Memory Layout". Plain values, no state.
#pragma once

#include <cstdint>
#include <vector>

#include "hidet_core/emulator/device/abi.h"

namespace hidet::emu {

inline constexpr unsigned kMatrixRows = 64;  // of A, for one instruction

class MatrixView {
 public:
  static constexpr unsigned kPieceBytes = 16;  // lie together in every layout

  MatrixView(uint64_t descriptor, bool transposed, hidet_emu::MatrixType type);

  bool IsLegal() const { return base_offset_ == 0 && (!transposed_ || bytes_ == 2); }
  unsigned depth() const { return 32 / bytes_; }  // k of one instruction

  // Where the element of a row (of A; a column of B) lies in shared memory.
  uint32_t Place(unsigned row, unsigned k) const;

  // Whether it is the first one of 16 bytes that lie together.
  bool StartsPiece(unsigned row, unsigned k) const {
    return (transposed_ ? row : k) % (kPieceBytes / bytes_) == 0;
  }

  // The element there as a float; tf32 ignores the lowest 13 bits.
  float Value(const char* place) const;

 private:
  hidet_emu::MatrixType type_;
  bool transposed_;
  unsigned bytes_;
  uint32_t start_, leading_, stride_;  // bytes
  unsigned base_offset_;
  unsigned swizzle_;  // bytes: 0, 32, 64, 128
};

// a[64, k] times the transpose of b[columns, k], in float, in order of k.
std::vector<float> MultiplyMatrices(const std::vector<float>& a, const std::vector<float>& b,
                                    unsigned columns);

// The element of the product [64, columns] that a thread of the warpgroup holds.
inline unsigned PlaceOfAccumulator(unsigned thread, unsigned element, unsigned columns) {
  const unsigned row = thread / 32 * 16 + thread % 32 / 4 + (element / 2 % 2) * 8;
  return row * columns + element / 4 * 8 + thread % 4 * 2 + element % 2;
}

}  // namespace hidet::emu
