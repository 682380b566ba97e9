#include "hidet_core/runtime/planner.h"

#include <algorithm>
#include <limits>

#include "hidet_core/runtime/error.h"

namespace hidet {
namespace {

constexpr int64_t kMaxArenaBytes = int64_t{1} << 62;

bool NeedsMemory(const PlannedBuffer& buffer) {
  return buffer.bytes > 0 && buffer.first <= buffer.last;
}

}  // namespace

int64_t MemoryPlanner::RoundUp(int64_t bytes) const {
  return (bytes + alignment_ - 1) & -alignment_;
}

void MemoryPlanner::CheckSum(const std::vector<PlannedBuffer>& buffers) const {
  int64_t sum = 0;
  for (const PlannedBuffer& buffer : buffers) {
    const bool fits = buffer.bytes >= 0 && buffer.bytes <= kMaxArenaBytes - alignment_ &&
                      sum <= kMaxArenaBytes - RoundUp(buffer.bytes);
    if (!fits) {
      Fail(ErrorCode::kInvalidArgument,
           "intermediate tensors need too much memory: one has %lld bytes",
           static_cast<long long>(buffer.bytes));
    }
    sum += RoundUp(buffer.bytes);
  }
}

bool MemoryPlanner::AliveTogether(const std::vector<PlannedBuffer>& buffers, uint32_t left,
                                  uint32_t right) const {
  if (together_ != nullptr && (*together_)[left][right]) return true;
  return buffers[left].first <= buffers[right].last && buffers[right].first <= buffers[left].last;
}

int64_t MemoryPlanner::Plan(std::vector<PlannedBuffer>& buffers, const BufferPairs* together) {
  together_ = together;
  CheckSum(buffers);
  total_ = 0;
  placed_.clear();
  for (PlannedBuffer& buffer : buffers) buffer.offset = 0;
  PlaceHalos(buffers);
  order_.clear();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    if (buffers[i].halo == 0 && NeedsMemory(buffers[i])) order_.push_back(i);
  }
  std::sort(order_.begin(), order_.end(), [&](uint32_t left, uint32_t right) {
    if (buffers[left].bytes != buffers[right].bytes) {
      return buffers[left].bytes > buffers[right].bytes;
    }
    return left < right;
  });
  for (const uint32_t index : order_) PlaceOne(buffers, index);
  return total_;
}

// Halo slots live as long as the arena. Taking buffers by first use and the first slot that is free
// again gives the fewest slots (interval graph colouring).
void MemoryPlanner::PlaceHalos(std::vector<PlannedBuffer>& buffers) {
  slots_.clear();
  order_.clear();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    if (buffers[i].halo != 0 && NeedsMemory(buffers[i])) order_.push_back(i);
  }
  std::sort(order_.begin(), order_.end(), [&](uint32_t left, uint32_t right) {
    if (buffers[left].first != buffers[right].first)
      return buffers[left].first < buffers[right].first;
    return left < right;
  });
  for (const uint32_t index : order_) {
    PlannedBuffer& buffer = buffers[index];
    auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const HaloSlot& each) {
      return each.group == buffer.halo && each.bytes == buffer.bytes &&
             !AliveTogether(buffers, each.last, index);
    });
    if (slot == slots_.end()) {
      slot = slots_.insert(slot, HaloSlot{buffer.halo, buffer.bytes, total_, index});
      total_ += RoundUp(buffer.bytes);
    }
    slot->last = index;
    buffer.offset = slot->offset;
  }
  halo_bytes_ = total_;
}

// Best fit, large buffers first: the smallest gap between the neighbours alive at the same time, or
// behind all of them.
void MemoryPlanner::PlaceOne(std::vector<PlannedBuffer>& buffers, uint32_t index) {
  PlannedBuffer& buffer = buffers[index];
  const int64_t need = RoundUp(buffer.bytes);
  int64_t best_gap = std::numeric_limits<int64_t>::max();
  int64_t best_offset = -1;
  int64_t free_from = halo_bytes_;
  for (const uint32_t other : placed_) {
    if (!AliveTogether(buffers, index, other)) continue;
    const int64_t gap = buffers[other].offset - free_from;
    if (gap >= need && gap < best_gap) {
      best_gap = gap;
      best_offset = free_from;
    }
    free_from = std::max(free_from, buffers[other].offset + RoundUp(buffers[other].bytes));
  }
  buffer.offset = best_offset >= 0 ? best_offset : free_from;
  total_ = std::max(total_, buffer.offset + need);
  const auto place = std::upper_bound(
      placed_.begin(), placed_.end(), index,
      [&](uint32_t left, uint32_t right) { return buffers[left].offset < buffers[right].offset; });
  placed_.insert(place, index);
}

}  // namespace hidet
