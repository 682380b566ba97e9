#include "hidet_core/runtime/cuda/dependencies.h"

#include <algorithm>

namespace hidet::cuda {
namespace {

bool Conflict(const Access& left, const Access& right) {
  const bool are_parts = left.buffer == right.buffer && left.part != 0 && right.part != 0;
  if (are_parts && left.part != right.part) return false;
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

struct Order {
  std::vector<std::vector<uint32_t>> before;  // direct ones
  std::vector<std::vector<bool>> reached;     // [later][earlier]
};

Order FindOrder(const std::vector<std::vector<Access>>& accesses) {
  const size_t count = accesses.size();
  Order order{std::vector<std::vector<uint32_t>>(count),
              std::vector<std::vector<bool>>(count, std::vector<bool>(count))};
  auto& reached = order.reached;
  for (size_t later = 0; later < count; ++later) {
    for (size_t earlier = later; earlier-- > 0;) {  // the nearest first: they reach the others
      if (reached[later][earlier] || !Conflict(accesses[earlier], accesses[later])) continue;
      order.before[later].push_back(static_cast<uint32_t>(earlier));
      reached[later][earlier] = true;
      for (size_t i = 0; i < earlier; ++i) {
        if (reached[earlier][i]) reached[later][i] = true;
      }
    }
  }
  return order;
}

}  // namespace

std::vector<std::vector<uint32_t>> FindDependencies(
    const std::vector<std::vector<Access>>& accesses) {
  return FindOrder(accesses).before;
}

BufferPairs FindConcurrent(const std::vector<std::vector<Access>>& accesses, size_t count) {
  const auto launches = static_cast<uint32_t>(accesses.size());
  const Order order = FindOrder(accesses);
  std::vector<std::vector<uint32_t>> users(count);
  for (uint32_t launch = 0; launch < launches; ++launch) {
    for (const Access& access : accesses[launch]) users[access.memory].push_back(launch);
  }
  BufferPairs concurrent(count, std::vector<bool>(count, true));
  std::vector<bool> comes_after(launches);  // all users of one memory
  for (size_t memory = 0; memory < count; ++memory) {
    for (uint32_t launch = 0; launch < launches; ++launch) {
      comes_after[launch] = std::all_of(users[memory].begin(), users[memory].end(),
                                        [&](uint32_t user) { return order.reached[launch][user]; });
    }
    for (size_t other = 0; other < count; ++other) {
      const bool is_later = std::all_of(users[other].begin(), users[other].end(),
                                        [&](uint32_t user) { return comes_after[user]; });
      if (is_later) concurrent[memory][other] = concurrent[other][memory] = false;
    }
  }
  return concurrent;
}

}  // namespace hidet::cuda
