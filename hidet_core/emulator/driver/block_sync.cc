// Barriers of the block and collectives of a warp.
#include "hidet_core/emulator/driver/block.h"

#include <algorithm>
#include <cstring>

namespace hidet::emu {

void Block::Barrier(unsigned id, unsigned threads, int line, bool waits) {
  const auto all = static_cast<unsigned>(threads_.size());
  const unsigned expected = threads == 0 ? all : threads;
  if (id >= kBarriers || expected > all || (threads != 0 && threads % 32 != 0)) {
    Fail(CUDA_ERROR_ILLEGAL_INSTRUCTION,
         Format("barrier %u for %u threads in line %d: there are %u barriers, and threads come "
                "in whole warps of the block's %u",
                id, expected, line, kBarriers, all));
  }
  BarrierState& barrier = barriers_[id];
  if (threads == 0 && live_ < all) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("divergent barrier: __syncthreads in line %d after %u of %u threads left the "
                "kernel",
                line, all - live_, all));
  }
  if (expected < all) shared_.TellReadersApart();
  const bool first = barrier.waiting.empty() && barrier.arrived == 0;
  if (!first && (barrier.expected != expected || (threads == 0 && barrier.line != line))) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("divergent barrier: this thread is in line %d with %u threads, %zu wait in line "
                "%d with %u",
                line, expected, barrier.waiting.size() + barrier.arrived, barrier.line,
                barrier.expected));
  }
  barrier.expected = expected;
  barrier.line = line;
  if (waits) {
    barrier.waiting.push_back(static_cast<uint16_t>(current_));
  } else {
    ++barrier.arrived;
    clocks_.Release(current_, &barrier.message);
  }
  if (barrier.waiting.size() + barrier.arrived == expected) ReleaseBarrier(barrier);
  if (!waits) return;
  // The last one to arrive is ready too: who goes on first is the seed's choice.
  hidet_emu_switch(&threads_[current_].stack_pointer, main_);
}

void Block::ReleaseBarrier(BarrierState& barrier) {
  if (barrier.waiting.size() == threads_.size()) {
    clocks_.JoinAll();
  } else {
    clocks_.Join(barrier.waiting, barrier.message);
  }
  std::sort(barrier.waiting.begin(), barrier.waiting.end());
  for (const uint16_t thread : barrier.waiting) MakeReady(thread);
  barrier.waiting.clear();
  barrier.arrived = 0;
  barrier.message = Message{};
  spins_ = 0;
}

void Block::Collect(const Collective& call) {
  const unsigned warp = current_ / 32, lane = current_ % 32;
  const size_t lanes = std::min<size_t>(32, threads_.size() - warp * 32);
  const uint32_t mask = call.mask & static_cast<uint32_t>((uint64_t{1} << lanes) - 1);
  CheckLanes(call, mask, lane);
  std::vector<Meeting>& meetings = meetings_[warp];
  Meeting& meeting = Join(meetings, call, mask, lane);
  meeting.arrived |= 1u << lane;
  meeting.in[lane] = call.in;
  meeting.out[lane] = call.out;
  if (meeting.arrived == mask) FinishMeeting(meetings, meeting);
  hidet_emu_switch(&threads_[current_].stack_pointer, main_);
}

void Block::CheckLanes(const Collective& call, uint32_t mask, unsigned lane) {
  if ((mask >> lane & 1) == 0) {
    Fail(CUDA_ERROR_LAUNCH_FAILED, Format("shuffle mask: %s in line %d with mask %#x by lane %u, "
                                          "which is not in it",
                                          call.name, call.line, call.mask, lane));
  }
  const uint32_t left = mask & left_[current_ / 32];
  if (left == 0) return;
  Fail(CUDA_ERROR_LAUNCH_FAILED,
       Format("divergent %s in line %d: lane %d of its mask %#x left the kernel", call.name,
              call.line, __builtin_ctz(left), call.mask));
}

// The meeting this lane comes to; those of disjoint lanes go on side by side.
Block::Meeting& Block::Join(std::vector<Meeting>& meetings, const Collective& call,
                            uint32_t mask, unsigned lane) {
  for (Meeting& meeting : meetings) {
    const Collective& other = meeting.call;
    if ((other.mask & mask) == 0) continue;
    const bool named = other.name == call.name || std::strcmp(other.name, call.name) == 0;
    const bool same = named && other.line == call.line && other.mask == mask &&
                      other.argument == call.argument;
    if (same) return meeting;
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Format("divergent collectives: lane %u is in %s in line %d (mask %#x), lanes %#x wait in "
                "%s in line %d (mask %#x)",
                lane, call.name, call.line, call.mask, meeting.arrived, other.name, other.line,
                other.mask));
  }
  Meeting meeting{};
  meeting.call = call;
  meeting.call.mask = mask;
  meetings.push_back(meeting);
  return meetings.back();
}

void Block::FinishMeeting(std::vector<Meeting>& meetings, Meeting& meeting) {
  const unsigned first = current_ / 32 * 32;
  meeting.call.compute(meeting.call, meeting.in, meeting.out);
  members_.clear();
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((meeting.arrived >> lane & 1) != 0) {
      members_.push_back(static_cast<uint16_t>(first + lane));
    }
  }
  if (meeting.call.orders_memory) clocks_.Join(members_);
  for (const uint16_t member : members_) MakeReady(member);
  meetings.erase(meetings.begin() + (&meeting - meetings.data()));
  spins_ = 0;
}

}  // namespace hidet::emu
