#include "hidet_core/runtime/cuda/dependencies.h"

#include <algorithm>

namespace hidet::cuda {
namespace {

bool Conflict(const Access& left, const Access& right) {
  return (left.stored || right.stored) && left.memory == right.memory &&
         std::max(left.begin, right.begin) < std::min(left.end, right.end);
}

bool Conflict(const std::vector<Access>& left, const std::vector<Access>& right) {
  for (const Access& one : left) {
    for (const Access& other : right) {
      if (Conflict(one, other)) return true;
    }
  }
  return false;
}

}  // namespace

std::vector<std::vector<uint32_t>> FindDependencies(
    const std::vector<std::vector<Access>>& accesses) {
  const size_t count = accesses.size();
  std::vector<std::vector<uint32_t>> before(count);
  std::vector<std::vector<bool>> reached(count, std::vector<bool>(count));
  for (size_t later = 0; later < count; ++later) {
    for (size_t earlier = later; earlier-- > 0;) {  // the nearest first: they reach the others
      if (reached[later][earlier] || !Conflict(accesses[earlier], accesses[later])) continue;
      before[later].push_back(static_cast<uint32_t>(earlier));
      reached[later][earlier] = true;
      for (size_t i = 0; i < earlier; ++i) {
        if (reached[earlier][i]) reached[later][i] = true;
      }
    }
  }
  return before;
}

}  // namespace hidet::cuda
