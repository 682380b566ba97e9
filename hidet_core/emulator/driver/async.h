// What the asynchronous engines of a block are busy with. Plain data of Block.
//
// An engine does its work as late as the rules allow: a tensor load when somebody waits for its
// mbarrier, a store when its thread waits for the group. wgmma computes at once but keeps the
// results back.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "hidet_core/emulator/device/abi.h"
#include "hidet_core/emulator/driver/clocks.h"
#include "hidet_core/emulator/driver/tensor_map.h"

namespace hidet::emu {

struct TensorJob {
  TensorMap map;
  uintptr_t shared;
  int32_t place[TensorMap::kRanks];
};

// A barrier object in shared memory. A phase ends when all arrivals and all bytes have come.
struct Mbarrier {
  unsigned arrivals;  // of a phase
  unsigned missing;   // in this phase
  int64_t bytes = 0;  // announced and not yet copied
  uint32_t phase = 0;
  unsigned initialiser;
  bool announced = false;  // to the asynchronous proxy
  unsigned agent;          // the engine of its copies
  Message arriving, done;
  std::vector<uint16_t> waiting;
  std::deque<TensorJob> loads;
};

struct TensorStore {
  TensorJob job;
  std::vector<std::pair<uint64_t, std::vector<char>>> pieces;  // once it has read shared memory
};

// Stores of one thread.
struct StoreQueue {
  struct Group {
    std::vector<TensorStore> stores;
    uint32_t clock = 0;  // of its last read
    bool has_read = false;
  };
  unsigned agent = 0;  // 0: none yet
  Group open;
  std::deque<Group> groups;
};

// What a wgmma has computed and its thread does not see yet.
struct PendingTile {
  std::vector<float> values;
  uint64_t group;
};

struct Warpgroup {
  static constexpr unsigned kThreads = 128;

  unsigned agent = 0;  // 0: none yet
  unsigned arrived = 0;
  std::array<const hidet_emu::WarpgroupMma*, kThreads> operands{};
  std::vector<uint32_t> clocks;  // of the last read of each group
};

// A thread's view of its warpgroup's matrix unit.
struct MmaQueue {
  bool fenced = false;
  uint64_t committed = 0, waited = 0;  // groups
  std::map<float*, PendingTile> tiles;
};

}  // namespace hidet::emu
