#include "hidet_core/runtime/loaded_plan.h"

#include <cstring>
#include <utility>

namespace hidet {
namespace {

constexpr size_t kConstantAlignment = 64;

}  // namespace

LoadedPlan::LoadedPlan(PlanData plan, const ConstantView* constants, size_t constant_count)
    : data_(std::move(plan)) {
  const ConstantLayout layout =
      PlaceConstants(data_, constants, constant_count, kConstantAlignment);
  LoadKernels();
  memory_ = Pages(layout.bytes);
  for (size_t i = 0; i < constant_count; ++i) {
    uint8_t* place = memory_.data() + layout.offsets[i];
    if (constants[i].bytes > 0) std::memcpy(place, constants[i].data, constants[i].bytes);
    constants_.push_back(place);
  }
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

}  // namespace hidet
