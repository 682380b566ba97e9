// Kernels keep the buffers of a task on the stack, up to some 700 KB. Threads of other programs may
// have less: there a kernel runs on a stack of ours, one for each thread, made when it is needed.
//
// Ownership: the thread's; given back when the thread ends. Threading: thread-safe.
#pragma once

#include <cstdint>

#include "hidet_core/runtime/launch.h"

namespace hidet {

// Calls the kernel for tasks [begin, end), on a stack that has room for it (on the thread's own, if
// the system gives no memory). Never throws.
void CallKernel(const KernelCall& call, int64_t begin, int64_t end) noexcept;

}  // namespace hidet
