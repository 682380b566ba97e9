// Loads, stores, atomics and asynchronous copies of device threads: where they may go.
#include <cstring>
#include <utility>

#include "hidet_core/emulator/driver/block.h"

namespace hidet::emu {
namespace {

const char* Name(AccessKind kind) {
  return IsRead(kind) ? "read" : kind == hidet_emu::kWrite ? "write" : "atomic";
}

std::string Print(const char* space, AccessKind kind, size_t bytes, uintptr_t address) {
  return Format("%s %s of %zu bytes at %#zx", space, Name(kind), bytes, address);
}

}  // namespace

void Block::Access(uintptr_t address, size_t bytes, AccessKind kind, size_t alignment,
                   const void* site) {
  if ((address & (alignment - 1)) != 0) {  // a power of two
    Fail(CUDA_ERROR_MISALIGNED_ADDRESS,
         Print("misaligned", kind, bytes, address) +
             Format(", which is no multiple of %zu", alignment),
         site);
  }
  if (stacks_.Contains(current_, address)) return;
  AccessMemory(address, bytes, kind, site);
}

// An access outside of the thread's own stack.
void Block::AccessMemory(uintptr_t address, size_t bytes, AccessKind kind, const void* site) {
  if (address - segment_hit_.begin < segment_hit_.end - segment_hit_.begin &&
      IsRead(kind)) {
    return;
  }
  if (kind == hidet_emu::kWrite) threads_[current_].fenced = false;
  if (shared_.Holds(address)) {
    const auto problem = shared_.Access(address, bytes, kind, current_, clocks_);
    if (problem.has_value()) {
      const bool bounds = problem->rfind("out of bounds", 0) == 0;
      Fail(bounds ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_LAUNCH_FAILED,
           Print("shared", kind, bytes, address) + ": " + *problem, site);
    }
    return;
  }
  CheckPlace(address, bytes, kind, site);
}

// An access outside of shared memory and of the thread's own stack.
void Block::CheckPlace(uintptr_t address, size_t bytes, AccessKind kind, const void* site) {
  if (address - hit_.address >= hit_.bytes) {
    const Allocation* found = grid_->memory->Find(address);
    if (found == nullptr) return CheckOutside(address, bytes, kind, site);
    hit_ = *found;
  }
  if (hit_.freed) {
    Fail(CUDA_ERROR_ILLEGAL_ADDRESS,
         Print("use after free: global", kind, bytes, address) + ": " +
             grid_->memory->Describe(address),
         site);
  }
  if (bytes > hit_.bytes - (address - hit_.address)) {
    Fail(CUDA_ERROR_ILLEGAL_ADDRESS,
         Print("out of bounds: global", kind, bytes, address) + ": its end lies " +
             grid_->memory->Describe(hit_.address + hit_.bytes),
         site);
  }
  const bool early = IsEarly();
  if (early && !IsRead(kind)) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Print("global", kind, bytes, address) +
             ": race: before griddepcontrol.wait, when the kernel before may still read it",
         site);
  }
  const GlobalShadow::Actor actor{serial_, current_, &clocks_, threads_[current_].fenced, early};
  const auto problem = grid_->shadow->Access(address, bytes, kind, actor);
  if (problem.has_value()) {
    Fail(CUDA_ERROR_LAUNCH_FAILED,
         Print("global", kind, bytes, address) + ": " + *problem + " (" +
             grid_->memory->Describe(address) + ")",
         site);
  }
}

// Neither shared memory nor an allocation: a variable of the image, or a wild pointer.
void Block::CheckOutside(uintptr_t address, size_t bytes, AccessKind kind, const void* site) {
  for (const Segment& segment : *grid_->segments) {
    if (address < segment.begin || address + bytes > segment.end) continue;
    segment_hit_ = segment;
    if (IsRead(kind) || segment.writable) return;
    Fail(CUDA_ERROR_ILLEGAL_ADDRESS, Print("constant", kind, bytes, address), site);
  }
  for (unsigned other = 0; other < threads_.size(); ++other) {
    if (!stacks_.Contains(other, address)) continue;
    Fail(CUDA_ERROR_ILLEGAL_ADDRESS,
         Print("local", kind, bytes, address) +
             Format(": this is local memory of thread %u of the block", other),
         site);
  }
  Fail(CUDA_ERROR_ILLEGAL_ADDRESS,
       Print("out of bounds: global", kind, bytes, address) + ": " +
           grid_->memory->Describe(address),
       site);
}

void* Block::SharedVariable(unsigned id, size_t bytes, size_t alignment) {
  void* variable = shared_.Variable(id, bytes, alignment);
  if (variable == nullptr) {
    Fail(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
         Format("too much shared memory: no room for %zu more bytes", bytes));
  }
  return variable;
}

void Block::CopyAsync(void* shared, const void* global, size_t bytes, size_t valid_bytes) {
  const auto to = reinterpret_cast<uintptr_t>(shared);
  const auto from = reinterpret_cast<uintptr_t>(global);
  if ((bytes != 4 && bytes != 8 && bytes != 16) || valid_bytes > bytes) {
    Fail(CUDA_ERROR_ILLEGAL_INSTRUCTION,
         Format("asynchronous copy of %zu of %zu bytes: 4, 8 or 16 are possible", valid_bytes,
                bytes));
  }
  if (!shared_.Holds(to)) {
    Fail(CUDA_ERROR_ILLEGAL_ADDRESS,
         Format("asynchronous copy to %#zx, which is not shared memory", to));
  }
  if (valid_bytes > 0) Access(from, valid_bytes, hidet_emu::kRead, bytes, nullptr);
  Access(to, bytes, hidet_emu::kWrite, bytes, nullptr);
  shared_.BeginCopy(to, bytes);
  threads_[current_].open.push_back(
      Copy{static_cast<char*>(shared), static_cast<const char*>(global), bytes, valid_bytes});
}

void Block::CommitCopies() {
  Thread& thread = threads_[current_];
  thread.groups.push_back(std::exchange(thread.open, {}));
}

// Bytes arrive as late as they may: when somebody waits for them.
void Block::WaitCopies(unsigned pending_groups) {
  Thread& thread = threads_[current_];
  while (thread.groups.size() > pending_groups) {
    for (const Copy& copy : thread.groups.front()) {
      const auto to = reinterpret_cast<uintptr_t>(copy.shared);
      std::memset(copy.shared, 0, copy.bytes);
      std::memcpy(copy.shared, copy.global, copy.valid);
      shared_.EndCopy(to, copy.bytes);
      Access(to, copy.bytes, hidet_emu::kWrite, 1, nullptr);
    }
    thread.groups.pop_front();
  }
}

}  // namespace hidet::emu
