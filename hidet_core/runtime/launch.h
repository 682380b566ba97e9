// One kernel call.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hidet {

// Computes tasks [begin, end) of a kernel. args: one pointer per tensor parameter. workspace:
// memory of the calling thread alone, aligned to 64 bytes, so that kernels need next to no stack.
using KernelFunction = void (*)(void* const* args, const int64_t* scalars, int64_t begin,
                                int64_t end, void* workspace);

// Borrows args and scalars.
struct KernelCall {
  KernelFunction function;
  void* const* args;
  const int64_t* scalars;
  int64_t tasks;
  double work_ns;  // estimate for one task on one core
  size_t workspace_bytes;
};

}  // namespace hidet
