// Barrier objects in shared memory (mbarrier), copies of tensors, and the proxy's fences.
#include <algorithm>
#include <cstring>
#include <utility>

#include "hidet_core/emulator/driver/block.h"

namespace hidet::emu {
namespace {

constexpr unsigned kMaxArrivals = (1u << 20) - 1;
constexpr int64_t kMaxBytes = (1 << 20) - 1;
constexpr size_t kTensorAlignment = 128;  // of a box in shared memory

}  // namespace

void Block::Require(const std::optional<std::string>& problem, const std::string& what) {
  if (!problem.has_value()) return;
  const bool bounds = problem->rfind("out of bounds", 0) == 0;
  Fail(bounds ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_LAUNCH_FAILED, what + ": " + *problem);
}

uint32_t Block::SharedAddress(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  if (!shared_.Holds(address)) {
    Fail(CUDA_ERROR_ILLEGAL_ADDRESS, Format("%#zx is no address of shared memory", address));
  }
  return shared_.Offset(address);
}

void Block::FenceProxy() {
  clocks_.FenceProxy(current_);
  FenceMbarriers();
}

// ---- mbarriers

void Block::InitMbarrier(uintptr_t address, unsigned arrivals) {
  Access(address, sizeof(uint64_t), hidet_emu::kWrite, sizeof(uint64_t), nullptr);
  if (!shared_.Holds(address) || arrivals == 0 || arrivals > kMaxArrivals) {
    Fail(CUDA_ERROR_ILLEGAL_INSTRUCTION,
         Format("mbarrier.init at %#zx for %u arrivals: 1 to %u, in shared memory", address,
                arrivals, kMaxArrivals));
  }
  if (mbarriers_.count(address) != 0) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("mbarrier.init of the mbarrier at byte %u, which is one already",
                shared_.Offset(address)));
  }
  shared_.TellReadersApart();
  Mbarrier barrier{arrivals, arrivals, 0, 0, current_, false, clocks_.AddAgent(), {}, {}, {}, {}};
  mbarriers_.emplace(address, std::move(barrier));
}

void Block::InvalidateMbarrier(uintptr_t address) {
  const Mbarrier& barrier = FindMbarrier(address, "mbarrier.inval");
  if (!barrier.waiting.empty() || !barrier.loads.empty()) {
    Fail(CUDA_ERROR_LAUNCH_FAILED, "mbarrier.inval of an mbarrier that is in use");
  }
  mbarriers_.erase(address);
}

void Block::FenceMbarriers() {
  for (auto& [unused, barrier] : mbarriers_) {
    if (barrier.initialiser == current_) barrier.announced = true;
  }
}

Mbarrier& Block::FindMbarrier(uintptr_t address, const char* what) {
  const auto found = mbarriers_.find(address);
  if (found == mbarriers_.end()) {
    Fail(CUDA_ERROR_LAUNCH_FAILED, Format("%s at %#zx, where no mbarrier was initialised", what,
                                          address));
  }
  Access(address, sizeof(uint64_t), hidet_emu::kAtomic, sizeof(uint64_t), nullptr);
  return found->second;
}

void Block::Arrive(uintptr_t address, unsigned arrivals, unsigned expected_bytes) {
  Mbarrier& barrier = FindMbarrier(address, "mbarrier.arrive");
  if (arrivals > barrier.missing) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("mbarrier.arrive of %u threads: phase %u of the mbarrier at byte %u misses %u of "
                "%u arrivals",
                arrivals, barrier.phase, shared_.Offset(address), barrier.missing,
                barrier.arrivals));
  }
  barrier.bytes += expected_bytes;
  if (barrier.bytes > kMaxBytes) {
    Fail(CUDA_ERROR_LAUNCH_FAILED, Format("an mbarrier counts up to %lld bytes, not %lld",
                                          static_cast<long long>(kMaxBytes),
                                          static_cast<long long>(barrier.bytes)));
  }
  clocks_.Release(current_, &barrier.arriving);
  barrier.missing -= arrivals;
  EndPhase(barrier);
}

// If all has come.
void Block::EndPhase(Mbarrier& barrier) {
  if (barrier.missing > 0 || barrier.bytes != 0) return;
  ++barrier.phase;
  barrier.missing = barrier.arrivals;
  barrier.done.Join(barrier.arriving);
  barrier.arriving = Message{};
  for (const uint16_t thread : barrier.waiting) MakeReady(thread);
  barrier.waiting.clear();
  spins_ = 0;
}

// Whether the phase of this parity is over. Copies arrive one by one, when nothing else helps.
bool Block::TestMbarrier(uintptr_t address, unsigned parity, bool waits) {
  if (parity > 1) Fail(CUDA_ERROR_ILLEGAL_INSTRUCTION, Format("mbarrier parity %u", parity));
  for (;;) {
    Mbarrier& barrier = FindMbarrier(address, "a wait for an mbarrier");
    if ((barrier.phase & 1) != parity) {
      clocks_.Acquire(current_, barrier.done);
      return true;
    }
    if (!barrier.loads.empty()) {
      ExecuteLoad(barrier);
    } else if (waits) {
      barrier.waiting.push_back(static_cast<uint16_t>(current_));
      Suspend(State::kMbarrier);
    } else {
      return false;
    }
  }
}

// ---- tensor loads

TensorJob Block::ReadJob(const hidet_emu::TensorCopy& copy, const char* what) {
  TensorJob job{};
  std::memcpy(&job.map, copy.map, sizeof(job.map));
  if (job.map.magic != TensorMap::kMagic || job.map.rank != copy.rank) {
    Fail(CUDA_ERROR_ILLEGAL_INSTRUCTION,
         Format("%s of rank %u: this is no tensor map of that rank", what, copy.rank));
  }
  job.shared = reinterpret_cast<uintptr_t>(copy.shared);
  std::copy_n(copy.place, TensorMap::kRanks, job.place);
  if (!shared_.Holds(job.shared) || shared_.Offset(job.shared) % kTensorAlignment != 0) {
    Fail(CUDA_ERROR_MISALIGNED_ADDRESS,
         Format("%s: the box's place %#zx in shared memory is no multiple of %zu", what,
                job.shared, kTensorAlignment));
  }
  return job;
}

void Block::LoadTensor(const hidet_emu::TensorCopy& copy) {
  const TensorJob job = ReadJob(copy, "tensor load");
  const auto address = reinterpret_cast<uintptr_t>(copy.mbarrier);
  Mbarrier& barrier = FindMbarrier(address, "a tensor load that reports to an mbarrier");
  if (!barrier.announced) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         "proxy: a tensor load reports to an mbarrier without fence.mbarrier_init (or "
         "fence.proxy.async) after its initialisation");
  }
  for (size_t row = 0; row < job.map.Rows(); ++row) {
    const TensorPiece piece = RowOf(job.map, job.place, row);
    if (piece.bytes == 0) continue;
    CheckPlace(piece.address, piece.bytes, hidet_emu::kRead, nullptr);
  }
  Require(shared_.BeginEngineWrite(job.shared, job.map.Bytes(), current_, clocks_),
          Format("tensor load to shared memory at %#zx", job.shared));
  barrier.loads.push_back(job);
  for (const uint16_t thread : barrier.waiting) MakeReady(thread);
  barrier.waiting.clear();
}

// One of those that have been started: which, is the seed's choice.
void Block::ExecuteLoad(Mbarrier& barrier) {
  const size_t count = barrier.loads.size();
  const size_t pick = grid_->seed > 1 ? random_() % count : grid_->seed == 1 ? count - 1 : 0;
  const TensorJob job = barrier.loads[pick];
  barrier.loads.erase(barrier.loads.begin() + static_cast<ptrdiff_t>(pick));
  const uint32_t start = shared_.Offset(job.shared);
  const size_t bytes = job.map.Bytes(), width = job.map.element_bytes;
  std::vector<char> box(bytes, 0);
  if (job.map.fills_nan != 0) std::memset(box.data(), 0xFF, bytes);
  for (size_t row = 0; row < job.map.Rows(); ++row) {
    const TensorPiece piece = RowOf(job.map, job.place, row);
    std::memcpy(box.data() + piece.offset, reinterpret_cast<const void*>(piece.address),
                piece.bytes);
  }
  for (size_t byte = 0; byte < bytes; byte += width) {
    const uint32_t place = job.map.Swizzle(start + static_cast<uint32_t>(byte));
    std::memcpy(shared_.At(place), box.data() + byte, width);
  }
  const uint32_t clock = clocks_.Draw();
  shared_.EndEngineWrite(job.shared, bytes, barrier.agent, clock);
  barrier.arriving.order.Include(barrier.agent, clock);
  barrier.bytes -= static_cast<int64_t>(bytes);
  EndPhase(barrier);
}

// ---- tensor stores

void Block::StoreTensor(const hidet_emu::TensorCopy& copy) {
  const TensorJob job = ReadJob(copy, "tensor store");
  StoreQueue& queue = threads_[current_].stores;
  if (queue.agent == 0) {
    shared_.TellReadersApart();
    queue.agent = clocks_.AddAgent();
  }
  queue.open.clock = clocks_.Draw();
  Require(shared_.EngineRead(job.shared, job.map.Bytes(), current_, queue.agent,
                             queue.open.clock, clocks_),
          Format("tensor store from shared memory at %#zx", job.shared));
  queue.open.stores.push_back(TensorStore{job, {}});
}

void Block::CommitStores() {
  StoreQueue& queue = threads_[current_].stores;
  queue.groups.push_back(std::exchange(queue.open, {}));
}

void Block::WaitStores(unsigned pending_groups, bool only_reads) {
  StoreQueue& queue = threads_[current_].stores;
  for (size_t index = 0; index + pending_groups < queue.groups.size(); ++index) {
    ReadStores(queue.groups[index]);
  }
  while (!only_reads && queue.groups.size() > pending_groups) {
    WriteStores(queue.groups.front());
    queue.groups.pop_front();
  }
}

void Block::ReadStores(StoreQueue::Group& group) {
  if (group.has_read) return;
  group.has_read = true;
  for (TensorStore& store : group.stores) {
    const TensorMap& map = store.job.map;
    const uint32_t start = shared_.Offset(store.job.shared);
    for (size_t row = 0; row < map.Rows(); ++row) {
      const TensorPiece piece = RowOf(map, store.job.place, row);
      std::vector<char> values(piece.bytes);
      for (size_t byte = 0; byte < piece.bytes; ++byte) {
        values[byte] = *shared_.At(map.Swizzle(start + static_cast<uint32_t>(piece.offset + byte)));
      }
      if (piece.bytes > 0) store.pieces.emplace_back(piece.address, std::move(values));
    }
  }
  if (!group.stores.empty()) clocks_.Learn(current_, threads_[current_].stores.agent, group.clock);
}

void Block::WriteStores(StoreQueue::Group& group) {
  ReadStores(group);
  for (const TensorStore& store : group.stores) {
    for (const auto& [address, values] : store.pieces) {
      CheckPlace(address, values.size(), hidet_emu::kWrite, nullptr);
      std::memcpy(reinterpret_cast<void*>(address), values.data(), values.size());
    }
  }
}

// A thread that leaves the kernel may leave behind only stores that need no shared memory.
void Block::CheckIdle() {
  Thread& thread = threads_[current_];
  bool reads = !thread.stores.open.stores.empty();
  for (const StoreQueue::Group& group : thread.stores.groups) reads |= !group.has_read;
  if (reads) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         "unwaited: the thread leaves the kernel while its tensor store reads shared memory");
  }
  if (!thread.mma.tiles.empty()) {
    Fail(CUDA_ERROR_LAUNCH_FAILED, "unwaited: the thread leaves the kernel with wgmma pending");
  }
  for (StoreQueue::Group& group : thread.stores.groups) WriteStores(group);
  thread.stores.groups.clear();
  if (live_ > 1) return;
  for (const auto& [address, barrier] : mbarriers_) {
    if (barrier.loads.empty()) continue;
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("unwaited: the block ends while a tensor load for the mbarrier at byte %u is "
                "pending",
                shared_.Offset(address)));
  }
}

}  // namespace hidet::emu
