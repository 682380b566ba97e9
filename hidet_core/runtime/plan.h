// A plan as data: what hidet_core/plan/serialize.py wrote, read back and checked.
//
// ParsePlan accepts untrusted bytes: after it every index is in range, every symbol is bound by an
// input and every buffer a launch uses is alive, so the executor checks only what depends on the
// symbols' values. Ownership: PlanData owns all but `images`, which point into the given bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hidet_core/runtime/data_type.h"
#include "hidet_core/runtime/expression.h"
#include "hidet_core/runtime/reader.h"
#include "hidet_core/runtime/run_context.h"

namespace hidet {

constexpr uint32_t kPlanVersion = 4;

using ExpressionId = uint32_t;  // index into PlanData::expressions

struct TensorSpec {
  std::string name;
  DataType dtype;
  std::vector<ExpressionId> shape;
};

// Two sizes that have to be equal for the inputs to be valid.
struct SizeCheck {
  std::string where;  // the operator
  ExpressionId left;
  ExpressionId right;
};

enum class BufferKind : uint8_t { kInput = 0, kOutput = 1, kConstant = 2, kTemp = 3 };

struct BufferSpec {
  BufferKind kind;
  uint32_t index;  // of the input, output or constant; unused for kTemp
  ExpressionId bytes;
  int32_t first;  // first and last launch that use a kTemp buffer; first > last: never used
  int32_t last;
  uint32_t halo;  // 0: none; else the buffers of one halo group have the same number
  uint32_t alignment;  // of its start, a power of two
};

struct KernelSpec {
  std::string symbol;
  uint32_t image;
  uint32_t threads;  // of a block on a GPU; 0: CPU code
  uint32_t shared_bytes;  // of a block; of CPU code: of a thread's workspace
  bool dependent;  // waits by itself for the kernels before it
};

constexpr size_t kMaxMapRank = 5;

// What cuTensorMapEncodeTiled takes, the contiguous dimension first.
struct TensorMapSpec {
  struct Axis {
    ExpressionId size;
    ExpressionId stride;  // bytes; of the first dimension, those of an element
    uint32_t box;
  };
  DataType dtype;
  uint8_t swizzle;  // bytes: 0, 32, 64, 128
  std::vector<Axis> axes;
};

struct ArgumentSpec {
  uint32_t buffer;
  ExpressionId offset_bytes;
  uint32_t part;  // kernels use no common element through others of the buffer; 0: they may
  bool stored;    // the kernel may write there
  std::optional<TensorMapSpec> map;  // the kernel gets it instead of the pointer
};

struct LaunchSpec {
  std::string name;
  uint32_t kernel;
  double work_ns;  // per task, on one core
  ExpressionId tasks;
  std::vector<ArgumentSpec> args;
  std::vector<ExpressionId> scalars;
};

// Where the value of a symbol comes from.
struct SymbolBinding {
  uint32_t input;
  uint32_t axis;
};

struct PlanData {
  std::string name;
  DeviceKind device;
  std::vector<std::string> symbols;
  std::vector<SymbolBinding> bindings;  // one per symbol
  std::vector<Expression> expressions;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::vector<SizeCheck> checks;
  std::vector<BufferSpec> buffers;
  uint32_t constant_count = 0;  // constants the plan's buffers ask for
  std::vector<ByteSpan> images;
  std::vector<KernelSpec> kernels;
  std::vector<LaunchSpec> launches;
};

// Throws Error(kInvalidPlan).
PlanData ParsePlan(ByteSpan bytes);

}  // namespace hidet
