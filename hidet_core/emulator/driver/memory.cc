#include "hidet_core/emulator/driver/memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace hidet::emu {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kNearby = 4096;  // an address this close to an allocation is described by it

size_t RoundUp(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::string Name(const Allocation& allocation) {
  return Format("%sallocation %zu of %zu bytes", allocation.freed ? "freed " : "",
                static_cast<size_t>(allocation.number), allocation.bytes);
}

}  // namespace

Memory::~Memory() {
  for (const auto& [address, allocation] : allocations_) {
    if (allocation.registered) continue;
    std::free(reinterpret_cast<char*>(address) - kRedZone);
  }
}

uintptr_t Memory::Allocate(size_t bytes, bool pinned) {
  if (bytes == 0) throw Fault{CUDA_ERROR_INVALID_VALUE, "allocation of 0 bytes"};
  if (!pinned && (bytes > capacity_ || used_ > capacity_ - bytes)) {
    throw Fault{CUDA_ERROR_OUT_OF_MEMORY,
                Format("%zu bytes asked for, %zu of %zu are free", bytes, capacity_ - used_,
                       capacity_)};
  }
  void* base = std::aligned_alloc(kAlignment, RoundUp(bytes) + 2 * kRedZone);
  if (base == nullptr) throw Fault{CUDA_ERROR_OUT_OF_MEMORY, "the host has no memory left"};
  char* start = static_cast<char*>(base) + kRedZone;
  std::memset(start, 0xFF, bytes);
  const auto address = reinterpret_cast<uintptr_t>(start);
  allocations_[address] = Allocation{address, bytes, ++counter_, false, pinned};
  if (!pinned) used_ += bytes;
  return address;
}

void Memory::Register(uintptr_t address, size_t bytes, bool pinned) {
  const auto next = allocations_.lower_bound(address);
  const bool overlaps = next != allocations_.end() && next->first - address < bytes;
  if (address == 0 || bytes == 0 || overlaps || Find(address) != nullptr) {
    throw Fault{CUDA_ERROR_INVALID_VALUE,
                Format("%zu bytes at %#zx cannot be registered: %s", bytes, address,
                       Describe(address).c_str())};
  }
  allocations_[address] = Allocation{address, bytes, ++counter_, false, pinned, true};
}

void Memory::Unregister(uintptr_t address) {
  const auto found = allocations_.find(address);
  if (found == allocations_.end() || !found->second.registered) {
    throw Fault{CUDA_ERROR_INVALID_VALUE, Format("%#zx is not registered", address)};
  }
  allocations_.erase(found);
}

void Memory::Free(uintptr_t address, bool pinned) {
  auto found = allocations_.find(address);
  if (found != allocations_.end() && found->second.registered) found = allocations_.end();
  const char* kind = pinned ? "pinned host memory" : "device memory";
  if (found == allocations_.end() || found->second.pinned != pinned) {
    throw Fault{CUDA_ERROR_INVALID_VALUE,
                Format("free of %#zx, which is no start of %s: %s", address, kind,
                       Describe(address).c_str())};
  }
  Allocation& allocation = found->second;
  if (allocation.freed) {
    throw Fault{CUDA_ERROR_INVALID_VALUE,
                Format("double free of %s", Describe(address).c_str())};
  }
  allocation.freed = true;
  if (!pinned) used_ -= allocation.bytes;
  std::memset(reinterpret_cast<void*>(address), 0xFF, allocation.bytes);
  quarantine_.push_back(address);
  quarantined_ += allocation.bytes;
  while (quarantined_ > kQuarantineBytes) Release(quarantine_.front());
}

void Memory::Release(uintptr_t address) {
  const auto found = allocations_.find(address);
  quarantined_ -= found->second.bytes;
  std::free(reinterpret_cast<char*>(address) - kRedZone);
  allocations_.erase(found);
  quarantine_.pop_front();
}

size_t Memory::CountLive() const {
  return static_cast<size_t>(
      std::count_if(allocations_.begin(), allocations_.end(),
                    [](const auto& entry) {
                      const Allocation& held = entry.second;
                      return !held.freed && (held.pinned || !held.registered);
                    }));
}

size_t Memory::living() const {
  return static_cast<size_t>(
      std::count_if(allocations_.begin(), allocations_.end(), [](const auto& entry) {
        return !entry.second.freed && !entry.second.pinned && !entry.second.registered;
      }));
}

const Allocation* Memory::Find(uintptr_t address) const {
  auto next = allocations_.upper_bound(address);
  if (next == allocations_.begin()) return nullptr;
  const Allocation& before = std::prev(next)->second;
  return address - before.address < before.bytes ? &before : nullptr;
}

const Allocation& Memory::Require(uintptr_t address, size_t bytes, const char* what,
                                  CUresult code) const {
  const Allocation* found = Find(address);
  if (found == nullptr || found->freed ||
      bytes > found->bytes - (address - found->address)) {
    const uintptr_t end = address + (bytes > 0 ? bytes - 1 : 0);
    const bool at_start = found == nullptr || found->freed;
    throw Fault{code, Format("%s of %zu bytes at %#zx: %s", what, bytes, address,
                             Describe(at_start ? address : end).c_str())};
  }
  return *found;
}

std::string Memory::Describe(uintptr_t address) const {
  const auto next = allocations_.upper_bound(address);
  const Allocation* before = next == allocations_.begin() ? nullptr : &std::prev(next)->second;
  const Allocation* after = next == allocations_.end() ? nullptr : &next->second;
  const size_t offset = before == nullptr ? 0 : address - before->address;
  if (before != nullptr && offset < before->bytes) {
    return Format("%zu bytes into ", offset) + Name(*before);
  }
  const size_t behind = before == nullptr ? kNearby : offset - before->bytes;
  const size_t ahead = after == nullptr ? kNearby : after->address - address;
  if (std::min(behind, ahead) >= kNearby) return "no allocation is near";
  return behind <= ahead ? Format("%zu bytes behind ", behind) + Name(*before)
                         : Format("%zu bytes before ", ahead) + Name(*after);
}

}  // namespace hidet::emu
