// Page-aligned, zero-filled memory straight from the kernel, for machine code, arenas and
// constants.
//
// Ownership: move-only handle, unmaps on destruction. Threading: as a plain buffer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hidet {

enum class Access { kRead, kReadWrite, kReadExecute };

class Pages {
 public:
  Pages() = default;
  // At least `bytes` (0: no memory) of readable and writable zeros; large ones ask for huge pages.
  explicit Pages(size_t bytes);
  ~Pages();
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;

  // Changes the access of [offset, offset + bytes); offset is a multiple of page_bytes().
  void Protect(size_t offset, size_t bytes, Access access);

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  static size_t page_bytes();

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace hidet
