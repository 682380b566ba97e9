#include "hidet_core/runtime/expression.h"

#include <algorithm>
#include <limits>

namespace hidet {
namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();

[[noreturn]] void FailOn(const char* what, int64_t left, int64_t right) {
  Fail(ErrorCode::kInvalidArgument, "a size expression has %s: operands %lld and %lld", what,
       static_cast<long long>(left), static_cast<long long>(right));
}

int64_t FloorDiv(int64_t left, int64_t right) {
  const int64_t quotient = left / right;
  return quotient - ((left % right != 0) && ((left < 0) != (right < 0)));
}

int64_t Apply(Opcode op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Opcode::kAdd: overflow = __builtin_add_overflow(left, right, &result); break;
    case Opcode::kSub: overflow = __builtin_sub_overflow(left, right, &result); break;
    case Opcode::kMul: overflow = __builtin_mul_overflow(left, right, &result); break;
    case Opcode::kMin: return std::min(left, right);
    case Opcode::kMax: return std::max(left, right);
    case Opcode::kFloorDiv:
    case Opcode::kMod:
      if (right == 0) FailOn("a division by zero", left, right);
      if (left == kLowest && right == -1) FailOn("an overflow", left, right);
      result = FloorDiv(left, right);
      return op == Opcode::kFloorDiv ? result : left - result * right;
    case Opcode::kConstant:
    case Opcode::kSymbol: break;  // not binary; Evaluate handles them
  }
  if (overflow) FailOn("an overflow", left, right);
  return result;
}

}  // namespace

Expression Expression::Parse(ByteSpan code, size_t symbol_count) {
  Expression result;
  Reader reader(code, "a plan's expression");
  size_t depth = 0;
  while (reader.remaining() > 0) {
    const auto op = static_cast<Opcode>(reader.Read<uint8_t>());
    int64_t operand = 0;
    if (op > Opcode::kMax) {
      Fail(ErrorCode::kInvalidPlan, "expression opcode %d is unknown", static_cast<int>(op));
    }
    if (op == Opcode::kConstant || op == Opcode::kSymbol) {
      operand = op == Opcode::kConstant ? reader.Read<int64_t>() : reader.Read<uint32_t>();
      if (op == Opcode::kSymbol && static_cast<size_t>(operand) >= symbol_count) {
        Fail(ErrorCode::kInvalidPlan, "expression uses symbol %lld of %zu",
             static_cast<long long>(operand), symbol_count);
      }
      if (++depth > kMaxStack) {
        Fail(ErrorCode::kInvalidPlan, "expression needs a stack of more than %zu values",
             kMaxStack);
      }
    } else if (depth-- < 2) {
      Fail(ErrorCode::kInvalidPlan, "expression opcode %d lacks operands", static_cast<int>(op));
    }
    result.code_.push_back({op, operand});
  }
  if (depth != 1) Fail(ErrorCode::kInvalidPlan, "expression leaves %zu values, expected 1", depth);
  return result;
}

int64_t Expression::Evaluate(const int64_t* symbols) const {
  int64_t stack[kMaxStack];
  size_t depth = 0;
  for (const Instruction& instruction : code_) {
    switch (instruction.op) {
      case Opcode::kConstant: stack[depth++] = instruction.operand; break;
      case Opcode::kSymbol: stack[depth++] = symbols[instruction.operand]; break;
      default: --depth; stack[depth - 1] = Apply(instruction.op, stack[depth - 1], stack[depth]);
    }
  }
  return stack[0];
}

bool Expression::is_constant() const {
  return std::none_of(code_.begin(), code_.end(),
                      [](const Instruction& each) { return each.op == Opcode::kSymbol; });
}

int64_t Expression::symbol() const {
  return code_.size() == 1 && code_[0].op == Opcode::kSymbol ? code_[0].operand : -1;
}

}  // namespace hidet
