// Integer expressions over the symbols of a plan, as postfix code; evaluated on int64.
//
// Code bytes: one opcode, then its operand (kConstant: int64, kSymbol: uint32 index). Division and
// remainder round towards minus infinity. Overflow and division by zero are errors, not wraps.
// Lifetime: an Expression owns its code. Threading: immutable after Parse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hidet_core/runtime/reader.h"

namespace hidet {

enum class Opcode : uint8_t {
  kConstant = 0,
  kSymbol = 1,
  kAdd = 2,
  kSub = 3,
  kMul = 4,
  kFloorDiv = 5,
  kMod = 6,
  kMin = 7,
  kMax = 8,
};

class Expression {
 public:
  static constexpr size_t kMaxStack = 64;

  // Checks opcodes, symbol indices and stack use, so that Evaluate cannot leave its stack.
  static Expression Parse(ByteSpan code, size_t symbol_count);

  // `symbols` has the symbol_count values given to Parse. Allocates nothing.
  int64_t Evaluate(const int64_t* symbols) const;

  bool is_constant() const;
  // The index of the symbol if the expression is exactly one symbol, otherwise -1.
  int64_t symbol() const;

 private:
  struct Instruction {
    Opcode op;
    int64_t operand;  // constant value or symbol index
  };
  std::vector<Instruction> code_;
};

}  // namespace hidet
