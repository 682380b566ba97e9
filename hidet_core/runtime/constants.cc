#include "hidet_core/runtime/constants.h"

#include "hidet_core/runtime/error.h"
#include "hidet_core/runtime/plan.h"

namespace hidet {
namespace {

void CheckConstants(const PlanData& plan, const ConstantView* constants, size_t count) {
  if (count != plan.constant_count) {
    Fail(ErrorCode::kInvalidPlan, "plan '%s' has %u constants, got %zu", plan.name.c_str(),
         plan.constant_count, count);
  }
  for (const BufferSpec& buffer : plan.buffers) {
    if (buffer.kind != BufferKind::kConstant) continue;
    const Expression& bytes = plan.expressions[buffer.bytes];
    if (!bytes.is_constant()) {
      Fail(ErrorCode::kInvalidPlan, "the size of constant %u depends on symbols", buffer.index);
    }
    const int64_t expected = bytes.Evaluate(nullptr);
    if (expected < 0 || constants[buffer.index].bytes != static_cast<uint64_t>(expected)) {
      Fail(ErrorCode::kInvalidPlan, "constant %u: expected %lld bytes, got %zu", buffer.index,
           static_cast<long long>(expected), constants[buffer.index].bytes);
    }
  }
}

}  // namespace

ConstantLayout PlaceConstants(const PlanData& plan, const ConstantView* constants, size_t count,
                              size_t alignment) {
  CheckConstants(plan, constants, count);
  ConstantLayout layout{{}, 0};
  for (size_t i = 0; i < count; ++i) {
    layout.offsets.push_back(layout.bytes);
    layout.bytes += (constants[i].bytes + alignment - 1) / alignment * alignment;
  }
  return layout;
}

}  // namespace hidet
