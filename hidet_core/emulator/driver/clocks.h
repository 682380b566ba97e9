// Happens-before inside one block: vector clocks of its threads and of its asynchronous engines.
//
// Every synchronisation draws a number from one counter; a thread's clock is the number of its last
// one, and an access is known by (thread, clock). A barrier of the whole block orders everything
// that threads did before it, so rows of the clock matrix are needed only for what happened since.
// An agent is an engine that works beside the threads (the copies of one mbarrier, the matrix unit
// of a warpgroup): numbered after the threads, and known only to those who waited for it.
// A second matrix says what the asynchronous proxy is sure to see: what was known to a thread when
// it executed fence.proxy.async, handed on like all other knowledge.
// Threading: used by the fibers of one block, that is by one thread of the operating system.
#pragma once

#include <cstdint>
#include <vector>

namespace hidet::emu {

// Of each thread or agent, the last clock that is known; all clocks before `floor` are.
struct Knowledge {
  uint32_t floor = 0;
  std::vector<uint32_t> last;

  uint32_t Of(unsigned actor) const { return actor < last.size() ? last[actor] : 0; }
  void Include(unsigned actor, uint32_t clock);
  void Join(const Knowledge& other);
};

// What threads handed over to a barrier object, for those who wait for it.
struct Message {
  Knowledge order, proxy;

  void Join(const Message& other) {
    order.Join(other.order);
    proxy.Join(other.proxy);
  }
};

class Clocks {
 public:
  void Reset(unsigned threads);

  // All threads of the block meet.
  void JoinAll();

  // Some threads meet: afterwards each knows what any of them, or the message, did or knew.
  void Join(const std::vector<uint16_t>& members, const Message& before = {});

  // A thread hands over what it did and knows; what it does afterwards is not included.
  void Release(unsigned thread, Message* message);
  void Acquire(unsigned thread, const Message& message);

  // fence.proxy.async of a thread.
  void FenceProxy(unsigned thread);

  // A new agent of this block.
  unsigned AddAgent();
  unsigned agents() const { return agents_; }

  // The clock of something that an agent does now.
  uint32_t Draw() { return ++counter_; }
  void Learn(unsigned thread, unsigned agent, uint32_t clock);

  bool IsAgent(unsigned actor) const { return actor >= rows_.size(); }
  uint32_t Now(unsigned thread) const { return rows_[thread].clock; }
  uint32_t last_barrier() const { return barrier_; }

  // Whether an access of `other` at `clock` happens before what `thread` does now.
  bool Ordered(unsigned thread, unsigned other, uint32_t clock) const {
    if (thread == other) return true;
    const Row& row = rows_[thread];
    if (IsAgent(other)) return row.order.Of(other) >= clock || met_.Of(other) >= clock;
    return clock < barrier_ || row.order.Of(other) >= clock;
  }

  // Whether asynchronous work that `thread` starts now sees such a write.
  bool Visible(unsigned thread, unsigned other, uint32_t clock) const;

 private:
  struct Row {
    uint32_t clock = 0;
    uint32_t barrier = 0;  // threads in `order` are about the time since this barrier
    Knowledge order, proxy;
  };

  void JoinRow(const Row& row, Message* message) const;
  void JoinFrom(const Knowledge& order, unsigned first, Knowledge* into) const;

  uint32_t counter_ = 0;
  uint32_t barrier_ = 0;
  unsigned agents_ = 0;
  bool fenced_ = false;   // fence.proxy.async was executed in this block
  std::vector<Row> rows_;
  Knowledge met_;         // agents that all threads know of
  Knowledge met_proxy_;   // what all threads know the asynchronous proxy to see
  Message joined_;
};

}  // namespace hidet::emu
