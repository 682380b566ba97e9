#include "hidet_core/emulator/driver/operation.h"

#include <chrono>
#include <cstring>
#include <numeric>
#include <random>
#include <utility>

namespace hidet::emu {
namespace {

constexpr Index3 kMaxThreads{1024, 1024, 64};
constexpr Index3 kMaxBlocks{2147483647, 65535, 65535};
constexpr size_t kMaxBlockThreads = 1024;
constexpr size_t kMaxGridBlocks = 1u << 30;  // a limit of the emulator's block numbers

bool Fits(Index3 extent, Index3 limit) {
  return extent.x >= 1 && extent.y >= 1 && extent.z >= 1 && extent.x <= limit.x &&
         extent.y <= limit.y && extent.z <= limit.z;
}

std::string Print(Index3 extent) { return Format("(%u, %u, %u)", extent.x, extent.y, extent.z); }

size_t Volume(Index3 extent) { return size_t{extent.x} * extent.y * extent.z; }

// Bytes from the first to the last of a strided place.
size_t Span(const Place& place, const Extent& extent) {
  if (extent.width == 0 || extent.height == 0 || extent.depth == 0) return 0;
  return (extent.depth - 1) * place.slice + (extent.height - 1) * place.pitch + extent.width;
}

template <typename Body>
void EachRow(const Extent& extent, const Body& body) {
  for (size_t slice = 0; slice < extent.depth; ++slice) {
    for (size_t row = 0; row < extent.height; ++row) body(slice, row);
  }
}

uintptr_t Row(const Place& place, size_t slice, size_t row) {
  return place.address + slice * place.slice + row * place.pitch;
}

// The order in which blocks run: a permutation of 0 ... count - 1.
struct BlockOrder {
  uint64_t count, step, offset;
  BlockOrder(uint64_t blocks, uint32_t seed) : count(blocks), step(1), offset(0) {
    if (seed == 0) return;
    step = count - 1;  // descending
    offset = count - 1;
    if (seed == 1 || count < 3) return;
    std::mt19937 random(seed);
    do {
      step = 1 + random() % (count - 1);
    } while (std::gcd(step, count) != 1);
    offset = random() % count;
  }
  uint64_t operator[](uint64_t position) const { return (position * step + offset) % count; }
};

struct Executor {
  Machine& machine;
  GlobalShadow::Work work;

  void operator()(const Nothing&) {}

  void operator()(const Launch& launch) {
    ++machine.counters.launches;
    if (machine.launch_to_fail > 0 && --machine.launch_to_fail == 0) {
      throw Fault{CUDA_ERROR_LAUNCH_FAILED, "this launch was to fail (hidetEmuFailLaunch)"};
    }
    std::vector<void*> parameters;
    for (const auto& value : launch.parameters) {
      parameters.push_back(const_cast<char*>(value.data()));
    }
    const Module& module = *launch.kernel->module;
    const Grid grid{launch.kernel->info, parameters.data(), launch.blocks, launch.threads,
                    launch.dynamic_shared, &module.segments(), machine.memory, machine.shadow,
                    machine.seed, work.early.has_value()};
    const auto count = static_cast<uint32_t>(Volume(launch.blocks));
    const uint32_t first = machine.shadow->StartWork(std::move(work), count);
    const BlockOrder order(count, machine.seed);
    for (uint32_t position = 0; position < count; ++position) {
      const auto block = static_cast<uint32_t>(order[position]);
      const Index3 size = launch.blocks;
      const Index3 index{block % size.x, block / size.x % size.y, block / size.x / size.y};
      try {
        machine.block->Run(grid, index, first + block);
      } catch (const Fault& fault) {
        throw Fault{fault.code, fault.text + module.SourceLine(fault.site)};
      }
    }
  }

  void operator()(const Copy& copy) {
    Count(IsOnDevice(copy.from.address), IsOnDevice(copy.to.address));
    const uint32_t block = machine.shadow->StartWork(std::move(work), 1);
    EachRow(copy.extent, [&](size_t slice, size_t row) {
      const uintptr_t to = Row(copy.to, slice, row), from = Row(copy.from, slice, row);
      Touch(from, copy.extent.width, hidet_emu::kRead, block);
      Touch(to, copy.extent.width, hidet_emu::kWrite, block);
      std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from),
                   copy.extent.width);
    });
  }

  void operator()(const Fill& fill) {
    const uint32_t block = machine.shadow->StartWork(std::move(work), 1);
    EachRow(fill.extent, [&](size_t slice, size_t row) {
      const uintptr_t to = Row(fill.to, slice, row);
      Touch(to, fill.extent.width, hidet_emu::kWrite, block);
      for (size_t byte = 0; byte < fill.extent.width; byte += fill.element_bytes) {
        std::memcpy(reinterpret_cast<char*>(to) + byte, &fill.value, fill.element_bytes);
      }
    });
  }

  void operator()(const HostCall& call) {
    machine.in_host_function = true;
    call.function(call.data);
    machine.in_host_function = false;
  }

  void operator()(const FreeMemory& free) {
    const Allocation* allocation = machine.memory->Find(free.address);
    if (allocation != nullptr) machine.shadow->Forget(free.address, allocation->bytes);
    machine.memory->Free(free.address, false);
  }

  void operator()(const RecordTime& record) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    *record.time_ms = std::chrono::duration<double, std::milli>(now).count();
  }

  bool IsOnDevice(uintptr_t address) const {
    const Allocation* found = machine.memory->Find(address);
    return found != nullptr && !found->pinned;
  }

  void Count(bool from_device, bool to_device) {
    Counters& counters = machine.counters;
    if (from_device) {
      ++(to_device ? counters.copies_on_device : counters.copies_to_host);
    } else if (to_device) {
      ++counters.copies_to_device;
    }
  }

  // A copy's access to a row, if that is the device's memory.
  void Touch(uintptr_t address, size_t bytes, AccessKind kind, uint32_t block) {
    const Allocation* found = machine.memory->Find(address);
    if (found == nullptr) return;
    if (found->freed) {
      throw Fault{CUDA_ERROR_ILLEGAL_ADDRESS,
                  Format("use after free: copy or fill of %zu bytes at %#zx: %s", bytes, address,
                         machine.memory->Describe(address).c_str())};
    }
    const auto problem = machine.shadow->Access(address, bytes, kind, {block, 0, nullptr, false});
    if (!problem.has_value()) return;
    throw Fault{CUDA_ERROR_LAUNCH_FAILED,
                Format("copy or fill of %zu bytes at %#zx: %s", bytes, address,
                       problem->c_str())};
  }
};

// A range of a copy must lie in one living allocation, or be pageable memory of the host.
void CheckPlace(const Place& place, const Extent& extent, const Memory& memory,
                const char* what) {
  if (memory.Find(place.address) == nullptr) return;
  memory.Require(place.address, Span(place, extent), what, CUDA_ERROR_INVALID_VALUE);
}

}  // namespace

std::string Name(const Operation& operation) {
  if (const auto* launch = std::get_if<Launch>(&operation)) {
    return std::string("kernel ") + launch->kernel->info->name;
  }
  const char* const names[] = {"nothing", "kernel", "a copy", "a fill",
                               "a host function", "a free", "an event"};
  return names[operation.index()];
}

void CheckRanges(const Operation& operation, const Memory& memory) {
  if (const auto* copy = std::get_if<Copy>(&operation)) {
    CheckPlace(copy->from, copy->extent, memory, "copy from the range");
    CheckPlace(copy->to, copy->extent, memory, "copy to the range");
  } else if (const auto* fill = std::get_if<Fill>(&operation)) {
    memory.Require(fill->to.address, Span(fill->to, fill->extent), "fill of the range",
                   CUDA_ERROR_INVALID_VALUE);
  }
}

void CheckLaunch(const Launch& launch) {
  const KernelInfo& info = *launch.kernel->info;
  const size_t threads = Volume(launch.threads), blocks = Volume(launch.blocks);
  if (!Fits(launch.blocks, kMaxBlocks) || blocks > kMaxGridBlocks) {
    throw Fault{CUDA_ERROR_INVALID_VALUE,
                Format("launch limits: grid %s of kernel %s", Print(launch.blocks).c_str(),
                       info.name)};
  }
  if (!Fits(launch.threads, kMaxThreads) || threads > kMaxBlockThreads) {
    throw Fault{CUDA_ERROR_INVALID_VALUE,
                Format("launch limits: block %s of kernel %s, at most %zu threads",
                       Print(launch.threads).c_str(), info.name, kMaxBlockThreads)};
  }
  if (info.max_threads != 0 && threads > info.max_threads) {
    throw Fault{CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
                Format("launch limits: %zu threads, but kernel %s has __launch_bounds__(%u)",
                       threads, info.name, info.max_threads)};
  }
  if (launch.dynamic_shared > launch.kernel->max_dynamic_shared) {
    throw Fault{CUDA_ERROR_INVALID_VALUE,
                Format("launch limits: %zu bytes of dynamic shared memory, but kernel %s may have "
                       "%zu (cuFuncSetAttribute raises that)",
                       launch.dynamic_shared, info.name, launch.kernel->max_dynamic_shared)};
  }
}

void Execute(const Operation& operation, Machine& machine, GlobalShadow::Work work) {
  std::visit(Executor{machine, std::move(work)}, operation);
}

}  // namespace hidet::emu
