#include "hidet_core/emulator/driver/clocks.h"

#include <algorithm>

namespace hidet::emu {

void Clocks::Reset(unsigned threads) {
  rows_.resize(threads);
  JoinAll();
}

void Clocks::JoinAll() {
  barrier_ = ++counter_;
  for (Row& row : rows_) row.clock = barrier_;
}

void Clocks::Join(const std::vector<uint16_t>& members) {
  joined_.assign(rows_.size(), 0);
  for (const unsigned member : members) {
    const Row& row = rows_[member];
    joined_[member] = std::max(joined_[member], row.clock);
    if (row.barrier != barrier_) continue;
    for (size_t other = 0; other < rows_.size(); ++other) {
      joined_[other] = std::max(joined_[other], row.known[other]);
    }
  }
  ++counter_;
  for (const unsigned member : members) {
    rows_[member].known = joined_;
    rows_[member].barrier = barrier_;
    rows_[member].clock = counter_;
  }
}

}  // namespace hidet::emu
