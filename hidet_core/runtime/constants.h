// The constants that a plan asks for, as its caller gives them.
#pragma once

#include <cstddef>
#include <vector>

namespace hidet {

struct PlanData;

struct ConstantView {
  const void* data;
  size_t bytes;
};

// Where constants lie in one piece of memory.
struct ConstantLayout {
  std::vector<size_t> offsets;
  size_t bytes;
};

// Each at a multiple of `alignment`. Throws Error(kInvalidPlan) if they do not fit the plan.
ConstantLayout PlaceConstants(const PlanData& plan, const ConstantView* constants, size_t count,
                              size_t alignment);

}  // namespace hidet
