// Streams: queues of operations, and the order in which they run.
//
// With seed 0 an operation runs when it is submitted. With any other seed it waits until somebody
// synchronises, and then runs of different streams are interleaved (1: the youngest stream first,
// others: at random), so that a missing dependency gives wrong results and is reported as a race.
// Threading: guarded by the driver's lock. Ownership: streams are shared by their handles and the
// queues; a destroyed stream still runs what was submitted to it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "hidet_core/emulator/driver/operation.h"
#include "hidet_core/emulator/driver/order.h"

namespace hidet::emu {

struct GraphNode;
struct Capture;

struct Work {
  Operation operation;
  Order before;
  std::optional<Order> early;  // of a programmatic launch: what it knows before griddepcontrol.wait
  uint64_t number;
};

struct Stream {
  uint64_t id;
  bool blocking;  // ordered with the legacy default stream
  uint64_t submitted = 0, done = 0;
  Order tail;  // what the next operation comes after
  std::optional<Order> early;  // the same for a programmatic launch; nothing: no kernel is last
  std::deque<Work> queue;
  std::shared_ptr<Capture> capture;
  std::vector<GraphNode*> capture_tail;
};

struct Event {
  Order order;  // what had been submitted when it was recorded
  std::shared_ptr<double> time_ms;  // null: never recorded; NaN: not yet reached
  bool timed;
  std::shared_ptr<Capture> capture;  // recorded in one
  std::vector<GraphNode*> nodes;
};

class Queues {
 public:
  explicit Queues(Machine* machine);

  std::shared_ptr<Stream> NewStream(bool blocking);
  const std::shared_ptr<Stream>& legacy() const { return legacy_; }

  // Like all that runs operations, throws a DeviceFault for the one that goes wrong.
  void Submit(Stream& stream, Operation operation);

  // Runs operations until those of the order are done; the host then knows them.
  void Wait(const Order& order);
  void WaitAll();

  // Whether they are done. Runs one operation if not, so that polling comes to an end.
  bool Poll(const Order& order);

  // Drops what has not run.
  void Clear();

 private:
  bool Done(const Order& order) const;
  void RunOne();
  void Learn(const Order& order);

  Machine* machine_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::shared_ptr<Stream>> streams_;
  std::shared_ptr<Stream> legacy_;
  Order host_;
  std::mt19937 random_;
};

}  // namespace hidet::emu
