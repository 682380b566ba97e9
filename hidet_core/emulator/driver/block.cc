#include "hidet_core/emulator/driver/block.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace hidet::emu {
namespace {

// A random seed switches threads at one in this many atomics; so do the others, lest they spin.
constexpr unsigned kSpinSwitch = 4;

size_t Volume(Index3 extent) { return size_t{extent.x} * extent.y * extent.z; }

std::string Print(Index3 index) { return Format("(%u, %u, %u)", index.x, index.y, index.z); }

}  // namespace

void Block::Run(const Grid& grid, Index3 index, uint32_t serial) {
  current_block_ = this;
  grid_ = &grid;
  serial_ = serial;
  fault_.reset();
  hit_ = Allocation{};
  segment_hit_ = Segment{};
  spins_ = 0;
  random_.seed(grid.seed * 2654435761u + serial);
  StartThreads(index);
  while (live_ > 0) {
    if (ready_.empty()) {
      fault_ = Fault{CUDA_ERROR_LAUNCH_TIMEOUT, "deadlock: " + Stuck() + Place(0)};
      break;
    }
    current_ = PickThread();
    hidet_emu_switch(&main_, threads_[current_].stack_pointer);
    if (fault_.has_value()) break;
  }
  if (fault_.has_value()) throw *std::exchange(fault_, std::nullopt);
}

void Block::StartThreads(Index3 index) {
  const Index3 size = grid_->threads;
  live_ = static_cast<unsigned>(Volume(size));
  stacks_.Reserve(live_);
  threads_.resize(live_);
  clocks_.Reset(live_);
  shared_.StartBlock();
  barriers_.assign(kBarriers, BarrierState{});
  mbarriers_.clear();
  warpgroups_.assign((live_ + Warpgroup::kThreads - 1) / Warpgroup::kThreads, {});
  grid_waited_.reset();
  meetings_.assign((live_ + 31) / 32, {});
  left_.assign(meetings_.size(), 0);
  ready_.resize(live_);
  std::iota(ready_.begin(), ready_.end(), uint16_t{0});
  const unsigned registers = std::min(kMaxRegisters, kRegisters / live_ / 8 * 8);
  for (unsigned number = 0; number < live_; ++number) {
    const Index3 place{number % size.x, number / size.x % size.y, number / size.x / size.y};
    Thread& thread = threads_[number];
    thread.state = State::kReady;
    thread.fenced = false;
    thread.where = Coordinates{place, index, size, grid_->blocks};
    thread.open.clear();
    thread.groups.clear();
    thread.stores = StoreQueue{};
    thread.mma = MmaQueue{};
    thread.registers = registers;
    thread.stack_pointer = stacks_.Prepare(number, &Block::Entry);
  }
}

void Block::Entry() {
  Block& block = Current();
  block.grid_->kernel->run(block.grid_->parameters);
  block.Leave();
}

uint16_t Block::PickThread() {
  if (grid_->seed > 1) std::swap(ready_.front(), ready_[random_() % ready_.size()]);
  const bool descending = grid_->seed == 1;
  const uint16_t picked = descending ? ready_.back() : ready_.front();
  descending ? ready_.pop_back() : ready_.pop_front();
  return picked;
}

void Block::Suspend(State state) {
  Thread& thread = threads_[current_];
  thread.state = state;
  hidet_emu_switch(&thread.stack_pointer, main_);
}

void Block::MakeReady(unsigned thread) {
  threads_[thread].state = State::kReady;
  ready_.push_back(static_cast<uint16_t>(thread));
}

// A thread returns from the kernel, for ever.
void Block::Leave() {
  const unsigned lane = current_ % 32;
  for (const Meeting& meeting : meetings_[current_ / 32]) {
    if ((meeting.call.mask >> lane & 1) != 0) {
      Fail(CUDA_ERROR_LAUNCH_FAILED,
           Format("divergent %s in line %d: a lane of its mask %#x left the kernel",
                  meeting.call.name, meeting.call.line, meeting.call.mask));
    }
  }
  if (!barriers_[0].waiting.empty()) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("divergent barrier: this thread left the kernel while %zu wait in "
                "__syncthreads in line %d",
                barriers_[0].waiting.size(), barriers_[0].line));
  }
  CheckIdle();
  if (live_ == 1) CheckGridWasWaitedFor();
  left_[current_ / 32] |= 1u << lane;
  --live_;
  spins_ = 0;
  Suspend(State::kDone);
}

// Lets others run; a thread that comes here too often without anybody's progress is stuck.
void Block::Spin() {
  if (++spins_ > kSpinLimit) {
    Fail(CUDA_ERROR_LAUNCH_TIMEOUT,
         "deadlock: threads repeat atomics without end, waiting for something that no thread of "
         "the block will do (blocks run one after the other)");
  }
  if (ready_.empty() || random_() % kSpinSwitch != 0) return;
  if (grid_->seed == 1) {
    threads_[current_].state = State::kReady;
    ready_.push_front(static_cast<uint16_t>(current_));
  } else {
    MakeReady(current_);
  }
  hidet_emu_switch(&threads_[current_].stack_pointer, main_);
}

std::string Block::Place(unsigned thread) const {
  const Coordinates& where = threads_[thread].where;
  return Format("; kernel %s, block %s, thread %s", grid_->kernel->name,
                Print(where.block).c_str(), Print(where.thread).c_str());
}

// Leaves device code for ever: the block's fibers are not resumed any more.
void Block::Fail(CUresult code, const std::string& text, const void* site) {
  fault_ = Fault{code, text + Place(current_)};
  fault_->site = site;
  for (;;) Suspend(State::kDone);
}

// What the threads of a block that cannot go on wait for.
std::string Block::Stuck() const {
  std::string text;
  for (unsigned id = 0; id < kBarriers; ++id) {
    const BarrierState& barrier = barriers_[id];
    if (barrier.waiting.empty()) continue;
    text += Format("%zu of %u threads wait at barrier %u in line %d, ", barrier.waiting.size(),
                   barrier.expected, id, barrier.line);
  }
  for (const auto& [address, barrier] : mbarriers_) {
    if (barrier.waiting.empty()) continue;
    text += Format("%zu threads wait at the mbarrier at byte %u of shared memory, whose phase %u "
                   "misses %u of %u arrivals and %lld bytes, ",
                   barrier.waiting.size(), shared_.Offset(address), barrier.phase,
                   barrier.missing, barrier.arrivals, static_cast<long long>(barrier.bytes));
  }
  for (size_t group = 0; group < warpgroups_.size(); ++group) {
    if (warpgroups_[group].arrived == 0) continue;
    text += Format("%u of %u threads of warpgroup %zu wait in wgmma, ",
                   warpgroups_[group].arrived, Warpgroup::kThreads, group);
  }
  const auto starving = std::count_if(threads_.begin(), threads_.end(), [](const Thread& thread) {
    return thread.state == State::kRegisters;
  });
  if (starving > 0) {
    text += Format("%zu threads wait in setmaxnreg for registers, of which %u are free, ",
                   static_cast<size_t>(starving), FreeRegisters());
  }
  for (size_t warp = 0; warp < meetings_.size(); ++warp) {
    for (const Meeting& meeting : meetings_[warp]) {
      text += Format("lanes %#x of warp %zu wait in %s in line %d for lanes %#x, ",
                     meeting.arrived, warp, meeting.call.name, meeting.call.line,
                     meeting.call.mask & ~meeting.arrived);
    }
  }
  return text + Format("nobody else of %u can run", live_);
}

}  // namespace hidet::emu
