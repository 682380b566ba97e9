#include "hidet_core/emulator/driver/global_shadow.h"

#include <utility>

#include "hidet_core/emulator/driver/fault.h"

namespace hidet::emu {

uint32_t GlobalShadow::StartWork(Work work, uint32_t blocks) {
  work_first_ = next_block_;
  next_block_ += blocks;
  works_.emplace(work_first_, std::move(work));
  released_.clear();
  acquired_.clear();
  return work_first_;
}

const GlobalShadow::Work& GlobalShadow::WorkOf(uint32_t block) const {
  return std::prev(works_.upper_bound(block))->second;
}

GlobalShadow::Page* GlobalShadow::FindPage(uintptr_t address, bool create) {
  const uintptr_t page = address / kPageBytes;
  if (page == last_page_ && (last_cells_ != nullptr || !create)) return last_cells_;
  const auto found = pages_.find(page);
  last_page_ = page;
  if (found != pages_.end()) return last_cells_ = &found->second;
  if (!create) return last_cells_ = nullptr;
  return last_cells_ = &pages_.emplace(page, Page(kPageBytes / 4)).first->second;
}

// The work of `actor` is the running one. Neighbouring words mostly come from the same work, so the
// last verdict mostly holds for the next one.
bool GlobalShadow::IsKnown(const Write& write, const Actor& actor) const {
  const bool same = verdict_.actor == work_first_ && verdict_.early == actor.early &&
                    write.block >= verdict_.first && write.block < verdict_.last;
  if (same) return verdict_.known;
  const auto after = works_.upper_bound(write.block);
  const auto earlier = std::prev(after);
  const Work& work = WorkOf(actor.block);
  const Order& known = actor.early ? *work.early : work.before;
  verdict_ = Verdict{earlier->first, after->first, work_first_, actor.early,
                     known.Knows(earlier->second.stream, earlier->second.number)};
  return verdict_.known;
}

bool GlobalShadow::Ordered(const Write& write, const Actor& actor) const {
  if (write.block == actor.block) {
    return actor.clocks == nullptr ||
           actor.clocks->Ordered(actor.thread, write.thread, write.clock);
  }
  if (write.block < work_first_) return IsKnown(write, actor);
  if (acquired_by_ != actor.block) return false;
  const auto found = acquired_.find(write.block);
  return found != acquired_.end() &&
         (write.thread == found->second.thread || write.clock < found->second.barrier);
}

std::string GlobalShadow::Conflict(const Write& write, AccessKind kind, const Actor& actor) const {
  const char* what = kind == hidet_emu::kWrite ? "race: two unordered writes"
                                               : "race: read not ordered after a write";
  if (write.block == actor.block) {
    return Format("%s, the other one by thread %u of the block", what, write.thread);
  }
  if (write.block >= work_first_) {
    return Format("%s, the other one by thread %u of block number %u of the grid", what,
                  write.thread, write.block - work_first_);
  }
  const Work& earlier = WorkOf(write.block);
  if (actor.early && WorkOf(actor.block).before.Knows(earlier.stream, earlier.number)) {
    return Format("%s, the other one by %s, which this thread did not wait for "
                  "(griddepcontrol.wait)",
                  what, earlier.name.c_str());
  }
  return Format("%s, the other one by %s in another stream, without a dependency", what,
                earlier.name.c_str());
}

// Only the running work releases: between launches the order of streams decides.
void GlobalShadow::Synchronise(uintptr_t address, AccessKind kind, const Actor& actor) {
  if (acquired_by_ != actor.block) acquired_.clear();
  acquired_by_ = actor.block;
  std::map<uint32_t, Released>& released = released_[address];
  acquired_.insert(released.begin(), released.end());
  if (IsRead(kind) || !actor.fenced || actor.clocks == nullptr) return;
  released.insert(acquired_.begin(), acquired_.end());
  released[actor.block] = Released{actor.thread, actor.clocks->last_barrier()};
}

std::optional<std::string> GlobalShadow::Access(uintptr_t address, size_t bytes, AccessKind kind,
                                                const Actor& actor) {
  if (IsAtomic(kind)) Synchronise(address, kind, actor);
  const bool writes = !IsRead(kind);
  const uintptr_t end = address + bytes;
  for (uintptr_t word = address & ~uintptr_t{3}; word < end; word += 4) {
    Page* page = FindPage(word, writes);
    if (page == nullptr) continue;
    Cell& cell = (*page)[word % kPageBytes / 4];
    unsigned mask = 0xF;
    if (word < address) mask &= 0xFu << (address - word);
    if (word + 4 > end) mask &= 0xFu >> (word + 4 - end);
    for (const Write* write : {&cell.plain, &cell.atomic}) {
      const bool both_atomic = write == &cell.atomic && IsAtomic(kind);
      const bool overlap = write->block != 0 && (write->bytes & mask) != 0;
      if (overlap && !both_atomic && !Ordered(*write, actor)) {
        return Conflict(*write, kind, actor);
      }
    }
    if (!writes) continue;
    const uint32_t clock = actor.clocks == nullptr ? 0 : actor.clocks->Now(actor.thread);
    (kind == hidet_emu::kAtomic ? cell.atomic : cell.plain) = Write{
        actor.block, clock, static_cast<uint16_t>(actor.thread), static_cast<uint8_t>(mask)};
  }
  return std::nullopt;
}

void GlobalShadow::Settle() {
  works_.clear();
  verdict_ = Verdict{};
  pages_.clear();
  last_page_ = 0;
  last_cells_ = nullptr;
}

void GlobalShadow::Forget(uintptr_t address, size_t bytes) {
  for (uintptr_t word = address & ~uintptr_t{3}; word < address + bytes; word += 4) {
    Page* page = FindPage(word, false);
    if (page == nullptr) {
      word = (word / kPageBytes + 1) * kPageBytes - 4;
    } else {
      (*page)[word % kPageBytes / 4] = Cell{};
    }
  }
}

}  // namespace hidet::emu
