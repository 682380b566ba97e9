// The shared memory of the block that runs, with what is known about each of its bytes.
//
// Variables lie apart, with red zones between them, in the order in which they are first used.
// Checks: bounds of the variable, reads of bytes that nobody wrote in this block, accesses that
// are not ordered by a barrier, accesses to bytes that an asynchronous copy is still to deliver,
// and asynchronous engines (tensor copies, wgmma) that do not see what threads wrote.
// Threading and lifetime: one per executing thread, reused from block to block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hidet_core/emulator/driver/access.h"
#include "hidet_core/emulator/driver/clocks.h"

namespace hidet::emu {

class SharedMemory {
 public:
  static constexpr size_t kCapacity = 227 * 1024;  // of a block on the device
  static constexpr unsigned kDynamic = 64;         // the id of the dynamic part

  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // Forgets all variables.
  void StartBlock();

  // The variable's memory, made at its first use in the block; null: no room.
  void* Variable(unsigned id, size_t bytes, size_t alignment);

  bool Holds(uintptr_t address) const { return address - Start() < kArenaBytes; }

  // Checks and records an access of a thread. Returns what is wrong with it.
  std::optional<std::string> Access(uintptr_t address, size_t bytes, AccessKind kind,
                                    unsigned thread, const Clocks& clocks);

  // Readers are known one by one from now on in this block, as barriers of its parts need it.
  void TellReadersApart();

  // A thread starts a copy of an engine to the range; its bytes are in flight until it ends.
  std::optional<std::string> BeginEngineWrite(uintptr_t address, size_t bytes, unsigned thread,
                                              const Clocks& clocks);
  void EndEngineWrite(uintptr_t address, size_t bytes, unsigned agent, uint32_t clock);

  // A thread has an engine read the range, at this clock of the agent.
  std::optional<std::string> EngineRead(uintptr_t address, size_t bytes, unsigned thread,
                                        unsigned agent, uint32_t clock, const Clocks& clocks);

  // For descriptors, which hold addresses as the device counts them: from the arena's start.
  uint32_t Offset(uintptr_t address) const { return static_cast<uint32_t>(address - Start()); }
  char* At(uint32_t offset) { return arena_ + offset; }

  // Between the two calls the bytes are in flight.
  void BeginCopy(uintptr_t address, size_t bytes) { SetInFlight(address, bytes, true); }
  void EndCopy(uintptr_t address, size_t bytes) { SetInFlight(address, bytes, false); }

 private:
  static constexpr size_t kArenaBytes = 320 * 1024;
  static constexpr size_t kRedZone = 64;

  struct Region {
    unsigned id;
    uintptr_t begin, end;
  };
  // Readers since the last write as a product: all `lanes` of all `warps`, none later than clock.
  struct Readers {
    uint32_t block, clock, warps, lanes;
  };
  // Readers of one warp (or an agent, alone) at one clock.
  struct Reader {
    unsigned first;  // thread or agent of bit 0
    uint32_t lanes, clock;
  };
  struct Write {
    uint32_t block = 0;  // another one than that which runs: never
    uint32_t clock = 0;
    uint16_t thread = 0;
  };
  struct Cell {
    Write plain, atomic;  // the last ones
    bool in_flight = false;
    Readers readers{};
    uint32_t apart = 0;  // the block in which it has readers in apart_
  };

  uintptr_t Start() const { return reinterpret_cast<uintptr_t>(arena_); }
  const Region* FindRegion(uintptr_t address) const;
  std::string DescribeMiss(uintptr_t address) const;
  void SetInFlight(uintptr_t address, size_t bytes, bool in_flight);
  const char* Visit(Cell& cell, AccessKind kind, unsigned thread, const Clocks& clocks);
  const char* Conflict(const Cell& cell, AccessKind kind, unsigned thread,
                       const Clocks& clocks);
  bool WriteOrdered(const Write& write, unsigned thread, const Clocks& clocks);
  bool ReadersOrdered(const Cell& cell, unsigned thread, const Clocks& clocks);
  bool ProductOrdered(const Readers& readers, unsigned thread, const Clocks& clocks);
  void RecordRead(Cell& cell, unsigned thread, const Clocks& clocks);
  void RecordApart(Cell& cell, unsigned first, uint32_t lanes, uint32_t clock);
  bool Seen(const Cell& cell, unsigned thread, const Clocks& clocks);
  size_t Number(const Cell& cell) const;
  template <typename Visitor>
  std::optional<std::string> Check(uintptr_t address, size_t bytes, unsigned thread,
                                   const Clocks& clocks, const Visitor& visit);
  template <typename Body>
  bool EachCell(uintptr_t address, size_t bytes, const Body& body);

  char* arena_;
  uint32_t serial_ = 0;  // of the block that runs
  size_t used_ = 0;
  unsigned other_ = 0;  // the thread of the last conflict
  std::vector<Region> regions_;
  std::array<void*, kDynamic + 1> variables_{};
  // A word's cell serves its four bytes until one of them is accessed alone.
  std::vector<Cell> words_;
  std::vector<Cell> bytes_;
  std::vector<uint32_t> split_;  // the block in which the word was split
  bool tells_apart_ = false;
  std::vector<std::vector<Reader>> apart_;  // of each cell: words, then bytes
};

}  // namespace hidet::emu
