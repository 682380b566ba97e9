#include "hidet_core/runtime/kernel_stack.h"

#include <pthread.h>

#include <exception>

#include "hidet_core/runtime/pages.h"

namespace hidet {
namespace {

constexpr size_t kRoom = size_t{2} << 20;  // more than any kernel needs

struct Registers {
  KernelFunction function;
  void* const* args;
  const int64_t* scalars;
  int64_t begin;
  int64_t end;
};

#if defined(__x86_64__)

// Calls registers.function on the stack that ends at `top`. rbp keeps the thread's own stack, for
// the return and for debuggers.
extern "C" void HidetCallOnStack(void* top, const Registers* registers);
asm(R"(
  .pushsection .text
  .local HidetCallOnStack
  .type HidetCallOnStack, @function
HidetCallOnStack:
  .cfi_startproc
  pushq %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  movq %rsp, %rbp
  .cfi_def_cfa_register %rbp
  movq %rdi, %rsp
  movq 0(%rsi), %rax
  movq 8(%rsi), %rdi
  movq 24(%rsi), %rdx
  movq 32(%rsi), %rcx
  movq 16(%rsi), %rsi
  callq *%rax
  movq %rbp, %rsp
  popq %rbp
  .cfi_def_cfa %rsp, 8
  retq
  .cfi_endproc
  .size HidetCallOnStack, . - HidetCallOnStack
  .popsection
)");

// Bytes between the stack pointer and the end of this thread's stack; 0 if they cannot be told, as
// when the caller runs on a stack of its own.
size_t RoomOnStack() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  void* low = nullptr;
  size_t bytes = 0;
  const int failed = pthread_attr_getstack(&attributes, &low, &bytes);
  pthread_attr_destroy(&attributes);
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const auto end = reinterpret_cast<uintptr_t>(low);
  return failed != 0 || here < end || here - end > bytes ? 0 : here - end;
}

class KernelStack {
 public:
  // The end of a stack of ours, null where the thread's own has room enough. That is found out
  // once: a thread calls kernels at about the same depth always.
  void* top() noexcept {
    if (!is_known_) Choose();
    return top_;
  }

 private:
  void Choose() noexcept {
    is_known_ = true;
    if (RoomOnStack() >= kRoom) return;
    try {
      memory_ = Pages(kRoom + Pages::page_bytes());
      memory_.Protect(0, Pages::page_bytes(), Access::kNone);  // an overflow must not pass unseen
      top_ = memory_.data() + memory_.bytes();
    } catch (const std::exception&) {
      // no memory: the thread's own stack has to do
    }
  }

  bool is_known_ = false;
  void* top_ = nullptr;
  Pages memory_;
};

thread_local KernelStack kernel_stack;

void* StackTop() noexcept { return kernel_stack.top(); }

#else

void HidetCallOnStack(void*, const Registers*) {}
void* StackTop() noexcept { return nullptr; }

#endif

}  // namespace

void CallKernel(const KernelCall& call, int64_t begin, int64_t end) noexcept {
  void* top = StackTop();
  if (top == nullptr) return call.function(call.args, call.scalars, begin, end);
  const Registers registers{call.function, call.args, call.scalars, begin, end};
  HidetCallOnStack(top, &registers);
}

}  // namespace hidet
