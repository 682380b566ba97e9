// The functions that device code calls, for the block that runs on this thread.
#include "hidet_core/emulator/driver/block.h"

namespace hidet::emu {
namespace {

CUresult TrapCode(hidet_emu::TrapKind kind) {
  switch (kind) {
    case hidet_emu::kTrap: return CUDA_ERROR_ILLEGAL_INSTRUCTION;
    case hidet_emu::kAssert: return CUDA_ERROR_ASSERT;
    case hidet_emu::kBadOperand: return CUDA_ERROR_LAUNCH_FAILED;
  }
  return CUDA_ERROR_UNKNOWN;
}

void Trap(hidet_emu::TrapKind kind, const char* text) {
  const char* what = kind == hidet_emu::kAssert ? "assertion failed: " : "";
  Block::Current().Trap(TrapCode(kind), std::string(what) + text);
}

uintptr_t Number(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

constexpr hidet_emu::AsyncTable kAsyncTable = {
    [](const void* pointer) { return Block::Current().SharedAddress(pointer); },
    [](unsigned id, unsigned threads, int line) {
      Block::Current().Barrier(id, threads, line, false);
    },
    [](uint64_t* mbarrier, unsigned arrivals) {
      Block::Current().InitMbarrier(Number(mbarrier), arrivals);
    },
    [](uint64_t* mbarrier) { Block::Current().InvalidateMbarrier(Number(mbarrier)); },
    [] { Block::Current().FenceMbarriers(); },
    [](uint64_t* mbarrier, unsigned arrivals, unsigned expected_bytes) {
      Block::Current().Arrive(Number(mbarrier), arrivals, expected_bytes);
    },
    [](uint64_t* mbarrier, unsigned parity, bool waits) {
      return Block::Current().TestMbarrier(Number(mbarrier), parity, waits);
    },
    [] { Block::Current().FenceProxy(); },
    [](const hidet_emu::TensorCopy* copy) { Block::Current().LoadTensor(*copy); },
    [](const hidet_emu::TensorCopy* copy) { Block::Current().StoreTensor(*copy); },
    [] { Block::Current().CommitStores(); },
    [](unsigned pending_groups, bool only_reads) {
      Block::Current().WaitStores(pending_groups, only_reads);
    },
    [] { Block::Current().FenceMma(); },
    [](const hidet_emu::WarpgroupMma* operation) { Block::Current().IssueMma(*operation); },
    [] { Block::Current().CommitMma(); },
    [](unsigned pending_groups) { Block::Current().WaitMma(pending_groups); },
    [](unsigned count, bool increases) { Block::Current().SetRegisters(count, increases); },
    [] { Block::Current().WaitForGrid(); },
    [] { Block::Current().LaunchDependents(); },
};

constexpr hidet_emu::DeviceTable kTable = {
    hidet_emu::kAbiVersion,
    [](const void* address, size_t bytes, AccessKind kind, size_t alignment, const void* site) {
      Block::Current().Access(reinterpret_cast<uintptr_t>(address), bytes, kind, alignment, site);
    },
    [] { return Block::Current().Where(); },
    [](unsigned id, unsigned threads, int line) { Block::Current().Barrier(id, threads, line); },
    [](const Collective* call) { Block::Current().Collect(*call); },
    [](unsigned id, size_t bytes, size_t alignment) {
      return Block::Current().SharedVariable(id, bytes, alignment);
    },
    [] {
      Block& block = Block::Current();
      return block.SharedVariable(SharedMemory::kDynamic, block.grid().dynamic_shared, 1024);
    },
    [](void* shared, const void* global, size_t bytes, size_t valid_bytes) {
      Block::Current().CopyAsync(shared, global, bytes, valid_bytes);
    },
    [] { Block::Current().CommitCopies(); },
    [](unsigned pending_groups) { Block::Current().WaitCopies(pending_groups); },
    [] { Block::Current().Fence(); },
    [] { Block::Current().Spin(); },
    &Trap,
    &kAsyncTable,
};

}  // namespace

const hidet_emu::DeviceTable& Table() { return kTable; }

}  // namespace hidet::emu
