#include "hidet_core/runtime/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "hidet_core/runtime/error.h"

namespace hidet {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

int ToFlags(Access access) {
  switch (access) {
    case Access::kRead: return PROT_READ;
    case Access::kReadWrite: return PROT_READ | PROT_WRITE;
    case Access::kReadExecute: return PROT_READ | PROT_EXEC;
  }
  return PROT_NONE;
}

}  // namespace

size_t Pages::page_bytes() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

Pages::Pages(size_t bytes) {
  if (bytes == 0) return;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    Fail(ErrorCode::kFail, "cannot get %zu bytes of memory: %s", bytes, std::strerror(errno));
  }
  data_ = static_cast<uint8_t*>(memory);
  bytes_ = bytes;
  if (bytes >= 2 * kHugePageBytes)
    ::madvise(memory, bytes, MADV_HUGEPAGE);  // advice: may be ignored
}

Pages::~Pages() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

Pages::Pages(Pages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Pages& Pages::operator=(Pages&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void Pages::Protect(size_t offset, size_t bytes, Access access) {
  if (bytes == 0) return;
  if (::mprotect(data_ + offset, bytes, ToFlags(access)) != 0) {
    Fail(ErrorCode::kFail, "cannot protect %zu bytes of memory (%s): %s", bytes,
         access == Access::kReadExecute ? "executable" : "data", std::strerror(errno));
  }
}

}  // namespace hidet
