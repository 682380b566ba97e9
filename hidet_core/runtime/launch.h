// One kernel call.
#pragma once

#include <cstdint>

namespace hidet {

// Computes tasks [begin, end) of a kernel. args: one pointer per tensor parameter.
using KernelFunction = void (*)(void* const* args, const int64_t* scalars, int64_t begin,
                                int64_t end);

// Borrows args and scalars.
struct KernelCall {
  KernelFunction function;
  void* const* args;
  const int64_t* scalars;
  int64_t tasks;
  double work_ns;  // estimate for one task on one core
};

}  // namespace hidet
