// Which launches of a plan must come before which, by the memory they use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hidet_core/runtime/planner.h"

namespace hidet::cuda {

// Bytes [begin, end) of a memory that a launch uses. Parts of one buffer with different numbers,
// none of them 0, have no byte in common though their ranges overlap.
struct Access {
  uint32_t memory;
  int64_t begin;
  int64_t end;
  bool stored;
  uint32_t buffer = 0;
  uint32_t part = 0;
};

// For each launch the earlier ones that it must wait for, so that every launch finds in memory what
// it would find if they ran one after the other. Nothing that follows from other entries is listed.
// accesses: of each launch.
std::vector<std::vector<uint32_t>> FindDependencies(
    const std::vector<std::vector<Access>>& accesses);

// Which of `count` memories may be in use at the same time by launches that are ordered only where
// FindDependencies demands it: not so if all users of one come before all users of the other.
BufferPairs FindConcurrent(const std::vector<std::vector<Access>>& accesses, size_t count);

}  // namespace hidet::cuda
