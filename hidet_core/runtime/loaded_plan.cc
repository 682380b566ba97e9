#include "hidet_core/runtime/loaded_plan.h"

#include <cstring>

namespace hidet {
namespace {

constexpr size_t kConstantAlignment = 64;

size_t AlignUp(size_t bytes) {
  return (bytes + kConstantAlignment - 1) & ~(kConstantAlignment - 1);
}

}  // namespace

LoadedPlan::LoadedPlan(ByteSpan plan, const ConstantView* constants, size_t constant_count)
    : data_(ParsePlan(plan)) {
  CheckConstants(constants, constant_count);
  LoadKernels();
  CopyConstants(constants, constant_count);
}

void LoadedPlan::LoadKernels() {
  modules_.reserve(data_.images.size());
  for (const ByteSpan& image : data_.images) modules_.emplace_back(image);
  data_.images.clear();  // they point into bytes that may go now
  functions_.reserve(data_.kernels.size());
  for (const KernelSpec& kernel : data_.kernels) {
    void* address = modules_[kernel.image].Find(kernel.symbol);
    functions_.push_back(reinterpret_cast<KernelFunction>(address));
  }
}

void LoadedPlan::CheckConstants(const ConstantView* constants, size_t count) const {
  if (count != data_.constant_count) {
    Fail(ErrorCode::kInvalidPlan, "plan '%s' has %u constants, got %zu", data_.name.c_str(),
         data_.constant_count, count);
  }
  for (const BufferSpec& buffer : data_.buffers) {
    if (buffer.kind != BufferKind::kConstant) continue;
    const Expression& bytes = data_.expressions[buffer.bytes];
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

void LoadedPlan::CopyConstants(const ConstantView* constants, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) total += AlignUp(constants[i].bytes);
  memory_ = Pages(total);
  uint8_t* place = memory_.data();
  for (size_t i = 0; i < count; ++i) {
    if (constants[i].bytes > 0) std::memcpy(place, constants[i].data, constants[i].bytes);
    constants_.push_back(place);
    place += AlignUp(constants[i].bytes);
  }
}

}  // namespace hidet
