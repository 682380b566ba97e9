#include "hidet_core/runtime/team.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "hidet_core/runtime/spin.h"

namespace hidet {
namespace {

constexpr double kMinPieceNs = 2e3;      // taking a piece costs some 50 ns
constexpr int64_t kPiecesPerMember = 8;  // so that a member that is held up holds up little

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

int64_t NowNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

void Team::Split(const std::vector<KernelCall>& calls, size_t threads) {
  if (calls.capacity() * threads > range_capacity_) {
    range_capacity_ = calls.capacity() * threads;
    ranges_ = std::make_unique<Range[]>(range_capacity_);
  }
  if (calls.capacity() > call_capacity_) {
    call_capacity_ = calls.capacity();
    progress_ = std::make_unique<Progress[]>(call_capacity_);
  }
  calls_ = &calls;
  threads_ = threads;
  for (size_t i = 0; i < calls.size(); ++i) SplitCall(i);
  MakeWorkspaces();
}

// Members touch their own first, so that each lies near its member.
void Team::MakeWorkspaces() {
  size_t largest = 0;
  for (const KernelCall& call : *calls_) largest = std::max(largest, call.workspace_bytes);
  const size_t page = Pages::page_bytes();
  workspace_bytes_ = std::max(workspace_bytes_, (largest + page - 1) / page * page);
  if (workspaces_.bytes() >= workspace_bytes_ * threads_) return;
  workspaces_ = Pages();
  workspaces_ = Pages(workspace_bytes_ * threads_);
}

void Team::SplitCall(size_t index) {
  const KernelCall& call = (*calls_)[index];
  const auto threads = static_cast<int64_t>(threads_);
  const double least = std::ceil(kMinPieceNs / std::max(call.work_ns, 1e-3));
  const double most = static_cast<double>(call.tasks);
  auto grain = static_cast<int64_t>(std::min(least, most));
  grain = std::max({grain, call.tasks / (threads * kPiecesPerMember), int64_t{1}});
  progress_[index].grain = grain;
  const int64_t pieces = CeilDiv(call.tasks, grain);
  Range* ranges = &ranges_[index * threads_];
  for (int64_t member = 0; member < threads; ++member) {
    ranges[member].begin = std::min(call.tasks, pieces * member / threads * grain);
    ranges[member].end = std::min(call.tasks, pieces * (member + 1) / threads * grain);
  }
}

size_t Team::pieces(size_t index) const {
  return static_cast<size_t>(CeilDiv((*calls_)[index].tasks, progress_[index].grain));
}

void Team::Run(Workers& workers) {
  const size_t count = calls_->size();
  for (size_t i = 0; i < count * threads_; ++i) {
    ranges_[i].next.store(ranges_[i].begin, std::memory_order_relaxed);
  }
  for (size_t i = 0; i < count; ++i) progress_[i].done.store(0, std::memory_order_relaxed);
  if (threads_ == 1) return RunMember(this, 0);
  workers.ParallelFor(RunMember, threads_, this);
}

void Team::RunMember(void* team, size_t member) {
  auto& self = *static_cast<Team*>(team);
  for (size_t i = 0; i < self.calls_->size(); ++i) {
    self.Help(i, member);
    self.Await(i);
  }
}

void Team::Help(size_t index, size_t member) {
  const KernelCall& call = (*calls_)[index];
  Progress& progress = progress_[index];
  if (progress.done.load(std::memory_order_relaxed) == call.tasks) return;
  Range* ranges = &ranges_[index * threads_];
  uint8_t* const workspace = workspaces_.data() + member * workspace_bytes_;
  int64_t done = 0;
  for (size_t i = 0; i < threads_; ++i) {
    Range& range = ranges[(member + i) % threads_];
    while (range.next.load(std::memory_order_relaxed) < range.end) {
      const int64_t begin = range.next.fetch_add(progress.grain, std::memory_order_relaxed);
      const int64_t end = std::min(range.end, begin + progress.grain);
      if (begin >= end) break;
      call.function(call.args, call.scalars, begin, end, workspace);
      done += end - begin;
    }
  }
  // What this member wrote is visible to all who see its tasks counted.
  if (done == 0) return;
  const int64_t before = progress.done.fetch_add(done, std::memory_order_acq_rel);
  if (before + done == call.tasks) progress.end_ns = NowNs();
}

void Team::Await(size_t index) const {
  const int64_t tasks = (*calls_)[index].tasks;
  const std::atomic<int64_t>& done = progress_[index].done;
  SpinUntil([&] { return done.load(std::memory_order_acquire) == tasks; });
}

}  // namespace hidet
