#include "hidet_core/emulator/driver/shared_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "hidet_core/emulator/driver/fault.h"

namespace hidet::emu {
namespace {

const char* Name(unsigned id) {
  return id == SharedMemory::kDynamic ? "dynamic shared memory" : "a __shared__ variable";
}

}  // namespace

SharedMemory::SharedMemory()
    : words_(kArenaBytes / 4), bytes_(kArenaBytes), split_(kArenaBytes / 4) {
  void* memory = mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  arena_ = static_cast<char*>(memory);
}

SharedMemory::~SharedMemory() { munmap(arena_, kArenaBytes); }

void SharedMemory::StartBlock() {
  ++serial_;
  used_ = kRedZone;
  regions_.clear();
  variables_.fill(nullptr);
  tells_apart_ = false;
}

void SharedMemory::TellReadersApart() {
  tells_apart_ = true;
  apart_.resize(words_.size() + bytes_.size());
}

void* SharedMemory::Variable(unsigned id, size_t bytes, size_t alignment) {
  if (variables_[id] != nullptr) return variables_[id];
  const size_t start = (used_ + alignment - 1) / alignment * alignment;
  if (bytes > kArenaBytes || start + bytes + kRedZone > kArenaBytes) return nullptr;
  used_ = start + bytes + kRedZone;
  std::memset(arena_ + start, 0xFF, bytes);
  regions_.push_back(Region{id, Start() + start, Start() + start + bytes});
  return variables_[id] = arena_ + start;
}

const SharedMemory::Region* SharedMemory::FindRegion(uintptr_t address) const {
  for (const Region& region : regions_) {
    if (address >= region.begin && address < region.end) return &region;
  }
  return nullptr;
}

// Variables lie in the order of their addresses.
std::string SharedMemory::DescribeMiss(uintptr_t address) const {
  const Region* nearest = nullptr;
  for (const Region& region : regions_) {
    if (nearest == nullptr || region.begin <= address) nearest = &region;
  }
  if (nearest == nullptr) return "the kernel has no shared variable";
  const bool behind = address >= nearest->begin;
  return Format("%zu bytes %s the start of %s of %zu bytes",
                behind ? address - nearest->begin : nearest->begin - address,
                behind ? "behind" : "before", Name(nearest->id), nearest->end - nearest->begin);
}

// Calls body with every cell of the range, until it returns true.
template <typename Body>
bool SharedMemory::EachCell(uintptr_t address, size_t bytes, const Body& body) {
  const size_t end = address - Start() + bytes;
  for (size_t byte = address - Start(); byte < end;) {
    const size_t word = byte / 4;
    if (split_[word] != serial_) {
      if (byte % 4 == 0 && byte + 4 <= end) {
        if (body(words_[word])) return true;
        byte += 4;
        continue;
      }
      split_[word] = serial_;
      std::fill_n(bytes_.begin() + static_cast<ptrdiff_t>(word * 4), 4, words_[word]);
      if (words_[word].apart == serial_) {
        std::fill_n(apart_.begin() + static_cast<ptrdiff_t>(words_.size() + word * 4), 4,
                    std::vector<Reader>(apart_[word]));
      }
    }
    if (body(bytes_[byte])) return true;
    ++byte;
  }
  return false;
}

void SharedMemory::SetInFlight(uintptr_t address, size_t bytes, bool in_flight) {
  EachCell(address, bytes, [&](Cell& cell) {
    cell.in_flight = in_flight;
    return false;
  });
}

// Visits the cells of the range until one has a problem. Returns that, described.
template <typename Visitor>
std::optional<std::string> SharedMemory::Check(uintptr_t address, size_t bytes, unsigned thread,
                                               const Clocks& clocks, const Visitor& visit) {
  const Region* region = FindRegion(address);
  if (region == nullptr || address + bytes > region->end) {
    return "out of bounds: " + DescribeMiss(address);
  }
  const char* problem = nullptr;
  EachCell(address, bytes, [&](Cell& cell) {
    other_ = thread;
    problem = visit(cell);
    return problem != nullptr;
  });
  if (problem == nullptr) return std::nullopt;
  const std::string other =
      other_ == thread          ? ""
      : clocks.IsAgent(other_) ? " with an asynchronous engine"
                                : Format(" with thread %u of the block", other_);
  return Format("%s%s (byte %zu of %s)", problem, other.c_str(), address - region->begin,
                Name(region->id));
}

std::optional<std::string> SharedMemory::Access(uintptr_t address, size_t bytes, AccessKind kind,
                                                unsigned thread, const Clocks& clocks) {
  return Check(address, bytes, thread, clocks,
               [&](Cell& cell) { return Visit(cell, kind, thread, clocks); });
}

// Whether the asynchronous proxy sees the last writes of threads.
bool SharedMemory::Seen(const Cell& cell, unsigned thread, const Clocks& clocks) {
  for (const Write* write : {&cell.plain, &cell.atomic}) {
    if (write->block != serial_ || clocks.Visible(thread, write->thread, write->clock)) continue;
    other_ = write->thread;
    return false;
  }
  return true;
}

std::optional<std::string> SharedMemory::BeginEngineWrite(uintptr_t address, size_t bytes,
                                                          unsigned thread,
                                                          const Clocks& clocks) {
  return Check(address, bytes, thread, clocks, [&](Cell& cell) -> const char* {
    const char* problem = Conflict(cell, hidet_emu::kWrite, thread, clocks);
    if (problem != nullptr) return problem;
    if (!Seen(cell, thread, clocks)) {
      return "proxy: an asynchronous write after a thread's, without fence.proxy.async between";
    }
    cell.plain = Write{serial_, clocks.Now(thread), static_cast<uint16_t>(thread)};
    cell.readers.block = cell.apart = 0;
    cell.in_flight = true;
    return nullptr;
  });
}

void SharedMemory::EndEngineWrite(uintptr_t address, size_t bytes, unsigned agent,
                                  uint32_t clock) {
  EachCell(address, bytes, [&](Cell& cell) {
    cell.plain = Write{serial_, clock, static_cast<uint16_t>(agent)};
    cell.in_flight = false;
    return false;
  });
}

std::optional<std::string> SharedMemory::EngineRead(uintptr_t address, size_t bytes,
                                                    unsigned thread, unsigned agent,
                                                    uint32_t clock, const Clocks& clocks) {
  return Check(address, bytes, thread, clocks, [&](Cell& cell) -> const char* {
    const char* problem = Conflict(cell, hidet_emu::kRead, thread, clocks);
    if (problem != nullptr) return problem;
    if (!Seen(cell, thread, clocks)) {
      return "proxy: an asynchronous read of a thread's write, without fence.proxy.async between";
    }
    RecordApart(cell, agent, 1, clock);
    return nullptr;
  });
}

// What is wrong with the access, null: nothing; then it is recorded.
const char* SharedMemory::Visit(Cell& cell, AccessKind kind, unsigned thread,
                                const Clocks& clocks) {
  const char* problem = Conflict(cell, kind, thread, clocks);
  if (problem != nullptr) return problem;
  if (kind == hidet_emu::kRead) RecordRead(cell, thread, clocks);
  if (IsRead(kind)) return nullptr;
  Write& write = kind == hidet_emu::kAtomic ? cell.atomic : cell.plain;
  write = Write{serial_, clocks.Now(thread), static_cast<uint16_t>(thread)};
  cell.readers.block = cell.apart = 0;  // ordered before this write, so before whatever follows it
  return nullptr;
}

const char* SharedMemory::Conflict(const Cell& cell, AccessKind kind, unsigned thread,
                                   const Clocks& clocks) {
  const bool written = cell.plain.block == serial_ || cell.atomic.block == serial_;
  const bool reads = kind != hidet_emu::kWrite;
  if (!written) return reads ? "uninitialised: nobody in this block wrote it" : nullptr;
  if (cell.in_flight && cell.plain.block == serial_) {
    return "unwaited: an asynchronous copy to it is still pending";
  }
  if (!WriteOrdered(cell.plain, thread, clocks) ||
      (!IsAtomic(kind) && !WriteOrdered(cell.atomic, thread, clocks))) {
    return reads ? "race: read without a barrier after a write"
                 : "race: two writes without a barrier between";
  }
  if (!IsRead(kind) && !ReadersOrdered(cell, thread, clocks)) {
    return "race: write without a barrier after a read";
  }
  return nullptr;
}

bool SharedMemory::WriteOrdered(const Write& write, unsigned thread, const Clocks& clocks) {
  if (write.block != serial_ || clocks.Ordered(thread, write.thread, write.clock)) return true;
  other_ = write.thread;
  return false;
}

bool SharedMemory::ReadersOrdered(const Cell& cell, unsigned thread, const Clocks& clocks) {
  if (!ProductOrdered(cell.readers, thread, clocks)) return false;
  if (cell.apart != serial_) return true;
  for (const Reader& reader : apart_[Number(cell)]) {
    for (uint32_t lanes = reader.lanes; lanes != 0; lanes &= lanes - 1) {
      other_ = reader.first + static_cast<unsigned>(__builtin_ctz(lanes));
      if (!clocks.Ordered(thread, other_, reader.clock)) return false;
    }
  }
  other_ = thread;
  return true;
}

bool SharedMemory::ProductOrdered(const Readers& readers, unsigned thread,
                                  const Clocks& clocks) {
  if (readers.block != serial_ || readers.clock < clocks.last_barrier()) return true;
  for (uint32_t warps = readers.warps; warps != 0; warps &= warps - 1) {
    const unsigned first = static_cast<unsigned>(__builtin_ctz(warps)) * 32;
    for (uint32_t lanes = readers.lanes; lanes != 0; lanes &= lanes - 1) {
      other_ = first + static_cast<unsigned>(__builtin_ctz(lanes));
      if (!clocks.Ordered(thread, other_, readers.clock)) return false;
    }
  }
  return true;
}

void SharedMemory::RecordRead(Cell& cell, unsigned thread, const Clocks& clocks) {
  if (tells_apart_) {
    return RecordApart(cell, thread / 32 * 32, 1u << (thread % 32), clocks.Now(thread));
  }
  Readers& readers = cell.readers;
  const bool old = readers.block != serial_ || readers.clock < clocks.last_barrier();
  if (old) readers = Readers{serial_, 0, 0, 0};
  readers.clock = std::max(readers.clock, clocks.Now(thread));
  readers.warps |= 1u << (thread / 32);
  readers.lanes |= 1u << (thread % 32);
}

// A reader's later read stands for its earlier ones: who comes after it comes after all of them.
void SharedMemory::RecordApart(Cell& cell, unsigned first, uint32_t lanes, uint32_t clock) {
  std::vector<Reader>& readers = apart_[Number(cell)];
  if (cell.apart != serial_) readers.clear();
  cell.apart = serial_;
  Reader* same = nullptr;
  for (Reader& reader : readers) {
    if (reader.first != first) continue;
    if (reader.clock == clock) same = &reader;
    else reader.lanes &= ~lanes;
  }
  if (same != nullptr) {
    same->lanes |= lanes;
    return;
  }
  readers.erase(std::remove_if(readers.begin(), readers.end(),
                               [](const Reader& reader) { return reader.lanes == 0; }),
                readers.end());
  readers.push_back(Reader{first, lanes, clock});
}

size_t SharedMemory::Number(const Cell& cell) const {
  const auto offset = reinterpret_cast<uintptr_t>(&cell) -
                      reinterpret_cast<uintptr_t>(words_.data());
  if (offset < words_.size() * sizeof(Cell)) return offset / sizeof(Cell);
  return words_.size() + static_cast<size_t>(&cell - bytes_.data());
}

}  // namespace hidet::emu
