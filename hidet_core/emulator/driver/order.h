// Happens-before between pieces of work: vector clocks over streams.
//
// The n-th piece of work of stream s is (s, n). An Order lists, per stream, the last piece that
// comes before; the same value says when work may run and which conflicting accesses are races.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

namespace hidet::emu {

class Order {
 public:
  void Join(const Order& other) {
    for (const auto& [stream, number] : other.last_) Include(stream, number);
  }
  void Include(uint64_t stream, uint64_t number) {
    uint64_t& last = last_[stream];
    last = std::max(last, number);
  }
  bool Knows(uint64_t stream, uint64_t number) const {
    const auto found = last_.find(stream);
    return found != last_.end() && found->second >= number;
  }
  const std::map<uint64_t, uint64_t>& last() const { return last_; }

 private:
  std::map<uint64_t, uint64_t> last_;
};

}  // namespace hidet::emu
