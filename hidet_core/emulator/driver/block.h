// One thread block, run to its end: threads are fibers, switched at barriers and collectives.
//
// The order in which threads run follows the seed: 0 ascending, 1 descending, others random. Every
// access of the kernel passes through Access(), every synchronisation through Barrier() or
// Collect(). A rule that is broken ends the block: Run() throws a Fault that names kernel, block,
// thread and access.
// Threading: only one block of the process runs at a time (the driver's lock sees to that); the
// functions that device code calls find it through Current().
// Lifetime: reused from block to block and launch to launch.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "hidet_core/emulator/driver/async.h"
#include "hidet_core/emulator/driver/clocks.h"
#include "hidet_core/emulator/driver/fault.h"
#include "hidet_core/emulator/driver/fiber.h"
#include "hidet_core/emulator/driver/global_shadow.h"
#include "hidet_core/emulator/driver/memory.h"
#include "hidet_core/emulator/driver/shared_memory.h"
#include "hidet_core/emulator/device/abi.h"

namespace hidet::emu {

using hidet_emu::Collective;
using hidet_emu::Coordinates;
using hidet_emu::Index3;
using hidet_emu::KernelInfo;

// A part of an image that is mapped: constants and __device__ variables.
struct Segment {
  uintptr_t begin, end;
  bool writable;
};

// What the blocks of a launch share. Everything outlives the launch.
struct Grid {
  const KernelInfo* kernel;
  void** parameters;
  Index3 blocks, threads;
  size_t dynamic_shared;
  const std::vector<Segment>* segments;
  const Memory* memory;
  GlobalShadow* shadow;
  uint32_t seed;
  bool starts_early;  // before the kernels before it have ended
};

class Block {
 public:
  static constexpr uint64_t kSpinLimit = 2'000'000;

  // Runs the block at `index`; serial is its number in the shadow.
  void Run(const Grid& grid, Index3 index, uint32_t serial);

  // The block that runs.
  static Block& Current() { return *current_block_; }

  // Called by device threads. Those that find a fault do not return.
  void Access(uintptr_t address, size_t bytes, AccessKind kind, size_t alignment,
              const void* site);
  void Barrier(unsigned id, unsigned threads, int line, bool waits = true);
  void Collect(const Collective& call);
  void* SharedVariable(unsigned id, size_t bytes, size_t alignment);
  void CopyAsync(void* shared, const void* global, size_t bytes, size_t valid_bytes);
  void CommitCopies();
  void WaitCopies(unsigned pending_groups);
  void Fence() { threads_[current_].fenced = true; }
  void Spin();
  uint32_t SharedAddress(const void* pointer);
  void InitMbarrier(uintptr_t address, unsigned arrivals);
  void InvalidateMbarrier(uintptr_t address);
  void FenceMbarriers();
  void Arrive(uintptr_t address, unsigned arrivals, unsigned expected_bytes);
  bool TestMbarrier(uintptr_t address, unsigned parity, bool waits);
  void FenceProxy();
  void LoadTensor(const hidet_emu::TensorCopy& copy);
  void StoreTensor(const hidet_emu::TensorCopy& copy);
  void CommitStores();
  void WaitStores(unsigned pending_groups, bool only_reads);
  void FenceMma();
  void IssueMma(const hidet_emu::WarpgroupMma& operation);
  void CommitMma();
  void WaitMma(unsigned pending_groups);
  void SetRegisters(unsigned count, bool increases);
  void WaitForGrid();
  void CheckGridWasWaitedFor();
  bool IsEarly() const;
  void LaunchDependents() {}
  void Trap(CUresult code, const std::string& text) { Fail(code, text); }
  const Coordinates* Where() const { return &threads_[current_].where; }
  const Grid& grid() const { return *grid_; }

 private:
  static constexpr unsigned kBarriers = 16;
  static constexpr unsigned kRegisters = 65536;   // of a block
  static constexpr unsigned kMaxRegisters = 168;  // of a thread, when it starts

  enum class State : uint8_t { kReady, kCollective, kMbarrier, kMma, kRegisters, kDone };
  struct Copy {
    char* shared;
    const char* global;
    size_t bytes, valid;
  };
  struct Thread {
    void* stack_pointer;
    State state;
    bool fenced;
    Coordinates where;
    std::vector<Copy> open;
    std::deque<std::vector<Copy>> groups;
    StoreQueue stores;
    MmaQueue mma;
    unsigned registers;
  };
  struct BarrierState {
    unsigned expected = 0;
    int line = 0;
    std::vector<uint16_t> waiting;
    unsigned arrived = 0;  // without waiting
    Message message;       // from those
  };
  struct Meeting {  // a collective of a warp that some lanes have reached
    Collective call;
    uint32_t arrived;
    const void* in[32];
    void* out[32];
  };

  void StartThreads(Index3 index);
  static void Entry();
  uint16_t PickThread();
  void Suspend(State state);
  void MakeReady(unsigned thread);
  void Leave();
  [[noreturn]] void Fail(CUresult code, const std::string& text, const void* site = nullptr);
  std::string Stuck() const;
  std::string Place(unsigned thread) const;
  void AccessMemory(uintptr_t address, size_t bytes, AccessKind kind, const void* site);
  void CheckPlace(uintptr_t address, size_t bytes, AccessKind kind, const void* site);
  void CheckOutside(uintptr_t address, size_t bytes, AccessKind kind, const void* site);
  void ReleaseBarrier(BarrierState& barrier);
  Meeting& Join(std::vector<Meeting>& meetings, const Collective& call, uint32_t mask,
                unsigned lane);
  void CheckLanes(const Collective& call, uint32_t mask, unsigned lane);
  void FinishMeeting(std::vector<Meeting>& meetings, Meeting& meeting);
  void Require(const std::optional<std::string>& problem, const std::string& what);
  Mbarrier& FindMbarrier(uintptr_t address, const char* what);
  void EndPhase(Mbarrier& barrier);
  void ExecuteLoad(Mbarrier& barrier);
  TensorJob ReadJob(const hidet_emu::TensorCopy& copy, const char* what);
  void ReadStores(StoreQueue::Group& group);
  void WriteStores(StoreQueue::Group& group);
  void CheckIdle();
  void ComputeMma(Warpgroup& group, unsigned first);
  void CheckMma(const hidet_emu::WarpgroupMma& operation);
  std::vector<float> ReadMatrix(const hidet_emu::WarpgroupMma& operation, bool of_a,
                                Warpgroup& group, uint32_t clock);
  unsigned FreeRegisters() const;

  // The one mutable global of the emulator: device threads have no other way to find their block.
  static inline Block* current_block_ = nullptr;

  const Grid* grid_ = nullptr;
  uint32_t serial_ = 0;
  unsigned current_ = 0;
  unsigned live_ = 0;
  uint64_t spins_ = 0;
  void* main_ = nullptr;
  std::optional<Fault> fault_;
  Allocation hit_{};      // of the last access
  Segment segment_hit_{};  // of the last access to one
  FiberStacks stacks_;
  SharedMemory shared_;
  Clocks clocks_;
  std::mt19937 random_;
  std::vector<Thread> threads_;
  std::deque<uint16_t> ready_;
  std::vector<BarrierState> barriers_;
  std::vector<std::vector<Meeting>> meetings_;  // of each warp
  std::vector<uint32_t> left_;                  // lanes of each warp that left the kernel
  std::vector<uint16_t> members_;               // of the meeting that finishes
  std::map<uintptr_t, Mbarrier> mbarriers_;
  std::vector<Warpgroup> warpgroups_;
  std::optional<std::pair<unsigned, uint32_t>> grid_waited_;  // an agent and its clock
};

// The functions of all blocks as images call them.
const hidet_emu::DeviceTable& Table();

}  // namespace hidet::emu
