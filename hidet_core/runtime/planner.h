// Assigns offsets in one arena to buffers whose lifetimes are known.
//
// Invariants: buffers alive at the same launch do not overlap; a halo buffer shares memory only
// with halo buffers of the same group and size that are never alive with it (so borders zeroed once
// stay zero); offsets are multiples of the alignment. Deterministic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hidet {

constexpr int64_t kArenaAlignment = 64;

struct PlannedBuffer {
  int64_t bytes;       // >= 0
  int32_t first;       // alive from launch `first` to launch `last`, both included;
  int32_t last;        // first > last: never used, takes no memory
  uint32_t halo;       // 0: none, else its group
  int64_t offset = 0;  // out
};

// Pairs of buffers, by their numbers.
using BufferPairs = std::vector<std::vector<bool>>;

// Keeps its scratch memory, so that planning again allocates nothing. One thread at a time.
class MemoryPlanner {
 public:
  // alignment: a power of two.
  explicit MemoryPlanner(int64_t alignment = kArenaAlignment) : alignment_(alignment) {}

  // Sets every offset and returns the bytes of the arena. The halo buffers lie in its first
  // halo_bytes() bytes. together: buffers that must not share memory either, though their launches
  // differ (may be null; symmetric). Throws Error(kInvalidArgument) if sizes add up to more than
  // 2^62.
  int64_t Plan(std::vector<PlannedBuffer>& buffers, const BufferPairs* together = nullptr);

  int64_t halo_bytes() const { return halo_bytes_; }

 private:
  int64_t RoundUp(int64_t bytes) const;
  void CheckSum(const std::vector<PlannedBuffer>& buffers) const;
  bool AliveTogether(const std::vector<PlannedBuffer>& buffers, uint32_t left,
                     uint32_t right) const;
  void PlaceHalos(std::vector<PlannedBuffer>& buffers);
  void PlaceOne(std::vector<PlannedBuffer>& buffers, uint32_t index);

  struct HaloSlot {
    uint32_t group;
    int64_t bytes;
    int64_t offset;
    uint32_t last;  // the last buffer in it so far
  };

  int64_t alignment_;
  const BufferPairs* together_ = nullptr;
  std::vector<uint32_t> order_;
  std::vector<uint32_t> placed_;  // buffers with a place outside the halo region, by offset
  std::vector<HaloSlot> slots_;
  int64_t halo_bytes_ = 0;
  int64_t total_ = 0;
};

}  // namespace hidet
