// One kernel call and how it is cut in chunks for threads. Everything here is thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hidet {

// Computes tasks [begin, end) of a kernel. args: one pointer per tensor parameter.
using KernelFunction = void (*)(void* const* args, const int64_t* scalars, int64_t begin,
                                int64_t end);

struct KernelCall {
  KernelFunction function;
  void* const* args;
  const int64_t* scalars;
  int64_t tasks;
  size_t chunks;  // 1 .. tasks
};

// How many chunks to make of `tasks` tasks of work_ns each: none shorter than about 10 us, at most
// four per thread (so that a thread that is held up does not hold up all), a multiple of `threads`
// where there are more chunks than threads. At least 1.
size_t ChunkCount(int64_t tasks, double work_ns, size_t threads);

// Runs chunk `chunk` of a KernelCall: contiguous tasks, sizes differing by at most one.
void RunChunk(void* call, size_t chunk);

}  // namespace hidet
