#include "hidet_core/emulator/driver/clocks.h"

#include <algorithm>

namespace hidet::emu {

void Knowledge::Include(unsigned actor, uint32_t clock) {
  if (actor >= last.size()) last.resize(actor + 1);
  last[actor] = std::max(last[actor], clock);
}

void Knowledge::Join(const Knowledge& other) {
  floor = std::max(floor, other.floor);
  if (last.size() < other.last.size()) last.resize(other.last.size());
  for (size_t actor = 0; actor < other.last.size(); ++actor) {
    last[actor] = std::max(last[actor], other.last[actor]);
  }
}

void Clocks::Reset(unsigned threads) {
  rows_.resize(threads);
  for (Row& row : rows_) {
    row.barrier = 0;
    row.order.last.clear();
    row.proxy = Knowledge{};
  }
  agents_ = 0;
  fenced_ = false;
  met_.last.clear();
  met_proxy_ = Knowledge{};
  JoinAll();
}

void Clocks::JoinAll() {
  const auto threads = static_cast<unsigned>(rows_.size());
  for (const Row& row : rows_) {
    if (agents_ > 0) JoinFrom(row.order, threads, &met_);
    if (fenced_) met_proxy_.Join(row.proxy);
  }
  barrier_ = ++counter_;
  for (Row& row : rows_) row.clock = barrier_;
}

// Entries from `first` on.
void Clocks::JoinFrom(const Knowledge& order, unsigned first, Knowledge* into) const {
  for (size_t actor = order.last.size(); actor-- > first;) {
    into->Include(static_cast<unsigned>(actor), order.last[actor]);
  }
}

void Clocks::JoinRow(const Row& row, Message* message) const {
  const auto threads = static_cast<unsigned>(rows_.size());
  if (row.barrier == barrier_) {
    message->order.Join(row.order);
  } else if (agents_ > 0) {
    JoinFrom(row.order, threads, &message->order);
  }
  if (fenced_) message->proxy.Join(row.proxy);
}

// All that a member did so far has a clock up to the counter, all that it will do a later one.
void Clocks::Join(const std::vector<uint16_t>& members, const Message& before) {
  joined_.order.last.assign(rows_.size() + agents_, 0);
  joined_.proxy = Knowledge{};
  joined_.Join(before);
  for (const unsigned member : members) {
    joined_.order.last[member] = counter_;
    JoinRow(rows_[member], &joined_);
  }
  ++counter_;
  for (const unsigned member : members) {
    Row& row = rows_[member];
    row.order.last = joined_.order.last;
    if (fenced_) row.proxy = joined_.proxy;
    row.barrier = barrier_;
    row.clock = counter_;
  }
}

void Clocks::Release(unsigned thread, Message* message) {
  JoinRow(rows_[thread], message);
  message->order.Include(thread, counter_);
  rows_[thread].clock = ++counter_;
}

void Clocks::Acquire(unsigned thread, const Message& message) {
  Row& row = rows_[thread];
  row.order.Join(message.order);
  row.proxy.Join(message.proxy);
  row.barrier = barrier_;
}

void Clocks::FenceProxy(unsigned thread) {
  fenced_ = true;
  Row& row = rows_[thread];
  row.proxy.floor = std::max(row.proxy.floor, barrier_);
  row.proxy.Join(row.order);
  row.proxy.Include(thread, counter_);
  row.clock = ++counter_;
}

unsigned Clocks::AddAgent() { return static_cast<unsigned>(rows_.size()) + agents_++; }

void Clocks::Learn(unsigned thread, unsigned agent, uint32_t clock) {
  rows_[thread].order.Include(agent, clock);
}

bool Clocks::Visible(unsigned thread, unsigned other, uint32_t clock) const {
  if (IsAgent(other)) return true;
  for (const Knowledge* seen : {&rows_[thread].proxy, &met_proxy_}) {
    if (clock < seen->floor || seen->Of(other) >= clock) return true;
  }
  return false;
}

}  // namespace hidet::emu
