#include "hidet_core/emulator/driver/fiber.h"

#include <sys/mman.h>

#include "hidet_core/emulator/driver/fault.h"

#ifndef __x86_64__
#error "the emulator switches fibers in x86-64 assembly"
#endif

// The callee-saved registers of the System V ABI; mxcsr and the x87 word are the same in all.
asm(R"(
.text
.hidden hidet_emu_switch
.globl hidet_emu_switch
.type hidet_emu_switch, @function
hidet_emu_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size hidet_emu_switch, .-hidet_emu_switch
)");

namespace hidet::emu {

FiberStacks::~FiberStacks() {
  if (memory_ != nullptr) munmap(memory_, count_ * kSlotBytes);
}

void FiberStacks::Reserve(size_t count) {
  if (count <= count_) return;
  void* fresh = mmap(nullptr, count * kSlotBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (fresh == MAP_FAILED) {
    throw Fault{CUDA_ERROR_OUT_OF_MEMORY, Format("no memory for %zu thread stacks", count)};
  }
  if (memory_ != nullptr) munmap(memory_, count_ * kSlotBytes);
  memory_ = static_cast<char*>(fresh);
  count_ = count;
  for (size_t index = 0; index < count; ++index) {
    mprotect(memory_ + index * kSlotBytes, kGuardBytes, PROT_NONE);
  }
}

void* FiberStacks::Prepare(size_t index, void (*entry)()) const {
  auto** top = reinterpret_cast<void**>(Base(index) + kStackBytes);
  *--top = nullptr;  // no return address: at entry rsp is 8 modulo 16, as after a call
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  return top;
}

}  // namespace hidet::emu
