// The matrix unit of a warpgroup (wgmma), registers (setmaxnreg), and programmatic launches.
//
// A wgmma is done when the last of the 128 threads comes to it. Until a thread waits for the group
// its accumulators hold NaN, and what was read of shared memory counts as being read.
#include <algorithm>
#include <cstring>
#include <utility>

#include "hidet_core/emulator/driver/block.h"
#include "hidet_core/emulator/driver/matrix.h"

namespace hidet::emu {
namespace {

using hidet_emu::WarpgroupMma;

constexpr unsigned kPoison = 0xFFFFFFFFu;  // NaN

bool SameOperation(const WarpgroupMma& a, const WarpgroupMma& b) {
  return a.type == b.type && a.columns == b.columns && a.a == b.a && a.b == b.b &&
         a.accumulates == b.accumulates && a.a_transposed == b.a_transposed &&
         a.b_transposed == b.b_transposed && a.line == b.line;
}

bool IsPoisoned(const float* accumulators, unsigned count) {
  return std::all_of(accumulators, accumulators + count, [](const float& value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return bits == kPoison;
  });
}

}  // namespace

void Block::FenceMma() { threads_[current_].mma.fenced = true; }

void Block::CheckMma(const WarpgroupMma& operation) {
  const bool wide = operation.columns >= 8 && operation.columns <= 256;
  const bool whole = threads_.size() % Warpgroup::kThreads == 0;
  if (!wide || operation.columns % 8 != 0 || !whole) {
    Fail(CUDA_ERROR_ILLEGAL_INSTRUCTION,
         Format("wgmma of %u columns in a block of %zu threads: 8, 16 ... 256 columns, whole "
                "warpgroups of %u threads",
                operation.columns, threads_.size(), Warpgroup::kThreads));
  }
  MmaQueue& queue = threads_[current_].mma;
  const auto pending = queue.tiles.find(operation.accumulators);
  if (pending == queue.tiles.end()) {
    if (queue.fenced) return;
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("wgmma in line %d without wgmma.fence since its accumulators were last free to "
                "change",
                operation.line));
  }
  if (!IsPoisoned(operation.accumulators, operation.columns / 2)) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("wgmma in line %d: its accumulators were written while a wgmma was pending",
                operation.line));
  }
}

void Block::IssueMma(const WarpgroupMma& operation) {
  CheckMma(operation);
  const unsigned number = current_ / Warpgroup::kThreads;
  const unsigned first = number * Warpgroup::kThreads;
  Warpgroup& group = warpgroups_[number];
  for (unsigned index = 0; index < Warpgroup::kThreads; ++index) {
    const WarpgroupMma* other = group.operands[index];
    if (other == nullptr) continue;
    const bool in_step =
        threads_[first + index].mma.committed == threads_[current_].mma.committed;
    if (SameOperation(*other, operation) && in_step) break;
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("divergent wgmma: threads %u and %u of warpgroup %u differ in operation, matrix "
                "descriptors or committed groups (lines %d and %d)",
                index, current_ - first, number, other->line, operation.line));
  }
  group.operands[current_ - first] = &operation;
  if (++group.arrived < Warpgroup::kThreads) return Suspend(State::kMma);
  ComputeMma(group, first);
  group.operands.fill(nullptr);
  group.arrived = 0;
  for (unsigned index = 0; index < Warpgroup::kThreads; ++index) {
    if (first + index != current_) MakeReady(first + index);
  }
  spins_ = 0;
}

// One operand as rows of k values: of A 64 rows, of B as many as there are columns.
std::vector<float> Block::ReadMatrix(const WarpgroupMma& operation, bool of_a, Warpgroup& group,
                                     uint32_t clock) {
  const MatrixView view(of_a ? operation.a : operation.b,
                        of_a ? operation.a_transposed : operation.b_transposed, operation.type);
  const unsigned rows = of_a ? kMatrixRows : operation.columns, depth = view.depth();
  std::vector<float> values(size_t{rows} * depth);
  const std::string what = Format("wgmma in line %d reads %s", operation.line, of_a ? "A" : "B");
  if (!view.IsLegal()) {
    Fail(CUDA_ERROR_ILLEGAL_INSTRUCTION,
         what + ": transposed operands have 2-byte elements, and a base offset is not supported");
  }
  for (unsigned row = 0; row < rows; ++row) {
    for (unsigned k = 0; k < depth; ++k) {
      const uint32_t place = view.Place(row, k);
      if (view.StartsPiece(row, k)) {
        const auto address = reinterpret_cast<uintptr_t>(shared_.At(place));
        Require(shared_.EngineRead(address, MatrixView::kPieceBytes, current_, group.agent, clock,
                                   clocks_),
                what);
      }
      values[size_t{row} * depth + k] = view.Value(shared_.At(place));
    }
  }
  return values;
}

void Block::ComputeMma(Warpgroup& group, unsigned first) {
  const WarpgroupMma& operation = *group.operands[0];
  if (group.agent == 0) {
    shared_.TellReadersApart();
    group.agent = clocks_.AddAgent();
  }
  const uint64_t number = threads_[first].mma.committed;
  const uint32_t clock = clocks_.Draw();
  group.clocks.resize(number + 1);
  group.clocks[number] = clock;
  const std::vector<float> a = ReadMatrix(operation, true, group, clock);
  const std::vector<float> b = ReadMatrix(operation, false, group, clock);
  const std::vector<float> product = MultiplyMatrices(a, b, operation.columns);
  const unsigned count = operation.columns / 2;
  for (unsigned index = 0; index < Warpgroup::kThreads; ++index) {
    float* accumulators = group.operands[index]->accumulators;
    auto& tiles = threads_[first + index].mma.tiles;
    auto found = tiles.find(accumulators);
    if (found == tiles.end()) {
      const std::vector<float> now(accumulators, accumulators + count);
      found = tiles.emplace(accumulators, PendingTile{now, number}).first;
      std::memset(accumulators, 0xFF, count * sizeof(float));
    }
    PendingTile& tile = found->second;
    tile.group = number;
    if (!operation.accumulates) std::fill(tile.values.begin(), tile.values.end(), 0.0f);
    for (unsigned element = 0; element < count; ++element) {
      tile.values[element] += product[PlaceOfAccumulator(index, element, operation.columns)];
    }
  }
}

void Block::CommitMma() { ++threads_[current_].mma.committed; }

void Block::WaitMma(unsigned pending_groups) {
  MmaQueue& queue = threads_[current_].mma;
  queue.fenced = false;
  if (queue.committed <= pending_groups) return;
  const uint64_t done = queue.committed - pending_groups;
  for (auto next = queue.tiles.begin(); next != queue.tiles.end();) {
    const auto& [accumulators, tile] = *next;
    if (tile.group >= done) {
      ++next;
      continue;
    }
    if (!IsPoisoned(accumulators, static_cast<unsigned>(tile.values.size()))) {
      Fail(CUDA_ERROR_LAUNCH_FAILED,
           "accumulators of a wgmma were written before it was waited for");
    }
    std::copy(tile.values.begin(), tile.values.end(), accumulators);
    next = queue.tiles.erase(next);
  }
  const Warpgroup& group = warpgroups_[current_ / Warpgroup::kThreads];
  const size_t known = std::min<size_t>(done, group.clocks.size());
  if (known > 0) clocks_.Learn(current_, group.agent, group.clocks[known - 1]);
  queue.waited = done;
}

// ---- registers

unsigned Block::FreeRegisters() const {
  unsigned taken = 0;
  for (const Thread& thread : threads_) taken += thread.registers;
  return taken > kRegisters ? 0 : kRegisters - taken;
}

void Block::SetRegisters(unsigned count, bool increases) {
  Thread& thread = threads_[current_];
  const bool fits = increases ? count >= thread.registers : count <= thread.registers;
  if (count < 24 || count > 256 || count % 8 != 0 || !fits) {
    Fail(CUDA_ERROR_ILLEGAL_INSTRUCTION,
         Format("setmaxnreg.%s to %u registers of a thread that has %u: 24, 32 ... 256 are "
                "possible",
                increases ? "inc" : "dec", count, thread.registers));
  }
  while (increases && FreeRegisters() < count - thread.registers) {
    Suspend(State::kRegisters);
  }
  thread.registers = count;
  if (increases) return;
  for (unsigned other = 0; other < threads_.size(); ++other) {
    if (threads_[other].state == State::kRegisters) MakeReady(other);
  }
}

// ---- programmatic launches

// Whether the thread, in a programmatic launch, does not know the kernels before it to be done.
bool Block::IsEarly() const {
  return grid_->starts_early &&
         !(grid_waited_.has_value() &&
           clocks_.Ordered(current_, grid_waited_->first, grid_waited_->second));
}

// From here on the thread knows what earlier kernels wrote, and so do those who wait for it.
void Block::WaitForGrid() {
  if (!grid_waited_.has_value()) grid_waited_ = {clocks_.AddAgent(), clocks_.Draw()};
  clocks_.Learn(current_, grid_waited_->first, grid_waited_->second);
}

// Who waits for this kernel learns of those before it only if this kernel has waited for them.
void Block::CheckGridWasWaitedFor() {
  if (!grid_->starts_early || grid_waited_.has_value()) return;
  Fail(CUDA_ERROR_LAUNCH_FAILED,
       "the block ends and no thread of it came to griddepcontrol.wait: the kernels after this one "
       "wait for it, and would not know those before it to be done");
}

}  // namespace hidet::emu
