// Happens-before between the threads of one block: vector clocks.
//
// Every synchronisation draws a number from one counter; a thread's clock is the number of its last
// one, and an access is known by (thread, clock). A barrier of the whole block orders everything
// before it, so rows of the clock matrix are needed only for what happened since then.
// Threading: used by the fibers of one block, that is by one thread of the operating system.
#pragma once

#include <cstdint>
#include <vector>

namespace hidet::emu {

class Clocks {
 public:
  void Reset(unsigned threads);

  // All threads of the block meet.
  void JoinAll();

  // Some threads meet: afterwards each knows what any of them did or knew.
  void Join(const std::vector<uint16_t>& members);

  uint32_t Now(unsigned thread) const { return rows_[thread].clock; }
  uint32_t last_barrier() const { return barrier_; }

  // Whether an access of `other` at `clock` happens before what `thread` does now.
  bool Ordered(unsigned thread, unsigned other, uint32_t clock) const {
    if (thread == other || clock < barrier_) return true;
    const Row& row = rows_[thread];
    return row.barrier == barrier_ && row.known[other] >= clock;
  }

 private:
  struct Row {
    uint32_t clock = 0;
    uint32_t barrier = 0;  // `known` is about the time since this barrier
    std::vector<uint32_t> known;
  };

  uint32_t counter_ = 0;
  uint32_t barrier_ = 0;
  std::vector<Row> rows_;
  std::vector<uint32_t> joined_;
};

}  // namespace hidet::emu
