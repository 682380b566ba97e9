// Stackful coroutines: the threads of an emulated block.
//
// A fiber runs until it switches away; there is no preemption. Stacks come from one mapping with a
// guard page below each. Nothing is unwound: a fiber that is never resumed is simply forgotten, so
// device code must own nothing.
// Threading: fibers of one FiberStacks are used by one thread of the operating system at a time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hidet::emu {

class FiberStacks {
 public:
  static constexpr size_t kStackBytes = 64 * 1024;

  FiberStacks() = default;
  ~FiberStacks();
  FiberStacks(const FiberStacks&) = delete;
  FiberStacks& operator=(const FiberStacks&) = delete;

  // At least this many stacks; earlier ones move, so no fiber may be alive.
  void Reserve(size_t count);

  // A stack pointer to pass to SwitchFiber: the fiber will call `entry`, which must not return.
  void* Prepare(size_t index, void (*entry)()) const;

  // Whether an address lies on stack `index`.
  bool Contains(size_t index, uintptr_t address) const {
    return address - reinterpret_cast<uintptr_t>(Base(index)) < kStackBytes;
  }

 private:
  static constexpr size_t kGuardBytes = 4096;
  static constexpr size_t kSlotBytes = kStackBytes + kGuardBytes;

  char* Base(size_t index) const { return memory_ + index * kSlotBytes + kGuardBytes; }

  char* memory_ = nullptr;
  size_t count_ = 0;
};

// Saves this context in *save and continues the one that `load` was saved as.
extern "C" void hidet_emu_switch(void** save, void* load);

}  // namespace hidet::emu
