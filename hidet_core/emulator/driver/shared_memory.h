// The shared memory of the block that runs, with what is known about each of its bytes.
//
// Variables lie apart, with red zones between them, in the order in which they are first used.
// Checks: bounds of the variable, reads of bytes that nobody wrote in this block, accesses that
// are not ordered by a barrier, accesses to bytes that an asynchronous copy is still to deliver.
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
  struct Write {
    uint32_t block = 0;  // another one than that which runs: never
    uint32_t clock = 0;
    uint16_t thread = 0;
  };
  struct Cell {
    Write plain, atomic;  // the last ones
    bool in_flight = false;
    Readers readers{};
  };

  uintptr_t Start() const { return reinterpret_cast<uintptr_t>(arena_); }
  const Region* FindRegion(uintptr_t address) const;
  std::string DescribeMiss(uintptr_t address) const;
  void SetInFlight(uintptr_t address, size_t bytes, bool in_flight);
  const char* Visit(Cell& cell, AccessKind kind, unsigned thread, const Clocks& clocks);
  const char* Conflict(const Cell& cell, AccessKind kind, unsigned thread,
                       const Clocks& clocks);
  bool WriteOrdered(const Write& write, unsigned thread, const Clocks& clocks);
  bool ReadersOrdered(const Readers& readers, unsigned thread, const Clocks& clocks);
  void RecordRead(Readers& readers, unsigned thread, const Clocks& clocks) const;
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
};

}  // namespace hidet::emu
