// Device memory: every allocation of the emulated device, living and freed.
//
// Allocations are 256-byte aligned with red zones around them. Freed ones stay known (and their
// memory mapped) until kQuarantineBytes of them have piled up, so that a late access is named.
// Pinned host memory is known too: kernels may use it, and copies to it are asynchronous.
// Threading: guarded by the driver's lock. Ownership: the registry owns the memory it hands out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "hidet_core/emulator/driver/fault.h"

namespace hidet::emu {

struct Allocation {
  uintptr_t address;
  size_t bytes;
  uint64_t number;  // counts up: "allocation 3"
  bool freed;
  bool pinned;  // host memory that the device may access
  bool registered = false;  // of the host or a module, only known here
};

class Memory {
 public:
  static constexpr size_t kRedZone = 256;
  static constexpr size_t kQuarantineBytes = size_t{64} << 20;

  explicit Memory(size_t capacity) : capacity_(capacity) {}
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Filled with 0xFF. Throws OUT_OF_MEMORY beyond the capacity and INVALID_VALUE for 0 bytes.
  uintptr_t Allocate(size_t bytes, bool pinned);

  // Memory of the host (pinned) or of a module that is to be known from now on, and no longer.
  // Throw INVALID_VALUE for a range that is known already, and for one that is not registered.
  void Register(uintptr_t address, size_t bytes, bool pinned);
  void Unregister(uintptr_t address);

  // Throws INVALID_VALUE: not the start of an allocation, freed already, or of the other kind.
  void Free(uintptr_t address, bool pinned);

  // The allocation, living or freed, that holds the address; null: none.
  const Allocation* Find(uintptr_t address) const;

  // The living allocation that holds the range. Throws ILLEGAL_ADDRESS or INVALID_VALUE (`code`).
  const Allocation& Require(uintptr_t address, size_t bytes, const char* what,
                            CUresult code) const;

  // What lies at an address, for error texts: "4 bytes behind allocation 3 of 64 bytes".
  std::string Describe(uintptr_t address) const;

  // Allocations that were not freed, pinned ones too.
  size_t CountLive() const;

  size_t capacity() const { return capacity_; }
  size_t used() const { return used_; }
  size_t living() const;  // allocations of device memory

 private:
  void Release(uintptr_t address);

  size_t capacity_;
  size_t used_ = 0;
  size_t quarantined_ = 0;
  uint64_t counter_ = 0;
  std::map<uintptr_t, Allocation> allocations_;
  std::deque<uintptr_t> quarantine_;
};

}  // namespace hidet::emu
