// Who wrote which word of global memory: races between threads, blocks and streams.
//
// Only writes are recorded, on pages that were written: a write after an unordered read shows up as
// a read after an unordered write under another scheduler seed, which runs them the other way
// round. Blocks are numbered through all launches; numbers of one launch are consecutive.
// A thread that does __threadfence() and then an atomic releases what its block did; whoever does
// an atomic on the same address later acquires it (the ticket of a split reduction).
// Threading: guarded by the driver's lock.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "hidet_core/emulator/driver/access.h"
#include "hidet_core/emulator/driver/clocks.h"
#include "hidet_core/emulator/driver/order.h"

namespace hidet::emu {

class GlobalShadow {
 public:
  // Work that accesses memory: a launch or a copy.
  struct Work {
    std::string name;
    uint64_t stream, number;
    Order before;
    std::optional<Order> early;  // of a programmatic launch, before griddepcontrol.wait
  };
  // A thread that accesses memory; clocks is null for copies.
  struct Actor {
    uint32_t block;
    unsigned thread;
    const Clocks* clocks;
    bool fenced;
    bool early = false;  // a thread of a programmatic launch before griddepcontrol.wait
  };

  // Numbers the blocks of a piece of work that starts now; returns its first block.
  uint32_t StartWork(Work work, uint32_t blocks);

  // Checks and records an access. Returns what is wrong with it.
  std::optional<std::string> Access(uintptr_t address, size_t bytes, AccessKind kind,
                                    const Actor& actor);

  // Everything so far happens before everything that follows.
  void Settle();

  // The range's memory is new: nobody wrote it.
  void Forget(uintptr_t address, size_t bytes);

 private:
  static constexpr size_t kPageBytes = 4096;

  struct Write {
    uint32_t block = 0;  // 0: none
    uint32_t clock = 0;
    uint16_t thread = 0;
    uint8_t bytes = 0;  // which of the word's four: bit i for byte i
  };
  struct Cell {
    Write plain, atomic;  // the last ones
  };
  using Page = std::vector<Cell>;
  // What a block had done when one of its threads released it.
  struct Released {
    unsigned thread;
    uint32_t barrier;
  };

  // Whether work that starts at block `actor` knows what blocks [first, last) of another one did.
  struct Verdict {
    uint32_t first = 0, last = 0, actor = 0;
    bool early = false, known = false;
  };

  Page* FindPage(uintptr_t address, bool create);
  bool Ordered(const Write& write, const Actor& actor) const;
  std::string Conflict(const Write& write, AccessKind kind, const Actor& actor) const;
  const Work& WorkOf(uint32_t block) const;
  bool IsKnown(const Write& write, const Actor& actor) const;
  void Synchronise(uintptr_t address, AccessKind kind, const Actor& actor);

  uint32_t next_block_ = 1;
  std::map<uint32_t, Work> works_;  // by first block
  uint32_t work_first_ = 0;         // of the work that runs
  mutable Verdict verdict_;         // on the write of an earlier work that was looked at last
  std::unordered_map<uintptr_t, Page> pages_;
  uintptr_t last_page_ = 0;
  Page* last_cells_ = nullptr;
  std::unordered_map<uintptr_t, std::map<uint32_t, Released>> released_;  // of the running work
  std::map<uint32_t, Released> acquired_;
  uint32_t acquired_by_ = 0;
};

}  // namespace hidet::emu
