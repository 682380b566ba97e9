// What can be asked of a stream or be a node of a graph, as values.
//
// Ownership: operations own copies of kernel arguments and of staged host data; other pointers are
// the caller's and must live until the operation has run, as with CUDA.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "hidet_core/emulator/driver/global_shadow.h"
#include "hidet_core/emulator/driver/memory.h"
#include "hidet_core/emulator/driver/module.h"

namespace hidet::emu {

struct Launch {
  std::shared_ptr<Kernel> kernel;
  Index3 blocks, threads;
  size_t dynamic_shared;
  std::vector<std::vector<char>> parameters;
  bool programmatic = false;  // may start before the kernel before it has ended
};

// depth slices of height rows of width bytes.
struct Extent {
  size_t width, height, depth;
};
struct Place {
  uintptr_t address;
  size_t pitch, slice;  // bytes from row to row and from slice to slice
};

struct Copy {
  Place to, from;
  Extent extent;
  std::shared_ptr<std::vector<char>> staged;  // what `from` points into, if it was copied before
};

struct Fill {
  Place to;
  Extent extent;  // width in bytes
  uint32_t value;
  unsigned element_bytes;  // 1, 2 or 4
};

struct HostCall {
  CUhostFn function;
  void* data;
};

struct FreeMemory {
  uintptr_t address;
};

struct RecordTime {
  std::shared_ptr<double> time_ms;
};

struct Nothing {};

using Operation = std::variant<Nothing, Launch, Copy, Fill, HostCall, FreeMemory, RecordTime>;

// What ran so far. Copies by where they went; those within the host are not counted.
struct Counters {
  uint64_t launches = 0;  // of kernels, those of graphs included
  uint64_t graph_launches = 0;
  uint64_t copies_to_device = 0;
  uint64_t copies_to_host = 0;
  uint64_t copies_on_device = 0;
};

// What operations act on.
struct Machine {
  Memory* memory;
  GlobalShadow* shadow;
  Block* block;
  uint32_t seed;
  bool in_host_function = false;  // then the API is closed
  Counters counters{};
  uint64_t launch_to_fail = 0;  // 1: the next one; 0: none
};

// "kernel scale", "copy", ...
std::string Name(const Operation& operation);

// Throws INVALID_VALUE if a range is not (yet, any longer) memory.
void CheckRanges(const Operation& operation, const Memory& memory);

// The common limits of a launch. Throws INVALID_VALUE or LAUNCH_OUT_OF_RESOURCES.
void CheckLaunch(const Launch& launch);

// Runs it to its end. Throws Fault; what had been written stays written.
void Execute(const Operation& operation, Machine& machine, GlobalShadow::Work work);

}  // namespace hidet::emu
