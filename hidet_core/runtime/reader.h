// A cursor over untrusted little-endian bytes: every read is checked against the end.
//
// Ownership: borrows the bytes, which must outlive it and any ByteSpan it gave out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "hidet_core/runtime/error.h"

namespace hidet {

struct ByteSpan {
  const uint8_t* data;
  size_t bytes;
};

class Reader {
 public:
  // `what` (a literal) names the data in messages.
  Reader(ByteSpan span, const char* what) : data_(span.data), end_(span.bytes), what_(what) {}

  // The next value of a trivially copyable type; the bytes need no alignment.
  template <typename T>
  T Read() {
    static_assert(std::is_trivially_copyable_v<T>);
    const ByteSpan raw = Bytes(sizeof(T));
    T value;
    std::memcpy(&value, raw.data, sizeof value);
    return value;
  }

  // The next `bytes` bytes, in place.
  ByteSpan Bytes(uint64_t bytes) {
    if (bytes > end_ - position_) {
      Fail(ErrorCode::kInvalidPlan, "%s is truncated: byte %zu needs %llu more, %zu are left",
           what_, position_, static_cast<unsigned long long>(bytes), end_ - position_);
    }
    const ByteSpan span{data_ + position_, static_cast<size_t>(bytes)};
    position_ += span.bytes;
    return span;
  }

  // A uint32 length and as many bytes.
  std::string String() {
    const ByteSpan raw = Bytes(Read<uint32_t>());
    return std::string(reinterpret_cast<const char*>(raw.data), raw.bytes);
  }

  // A uint32 number of elements that take at least `element_bytes` each, so that a corrupt count
  // cannot make the caller reserve more memory than a small multiple of the file.
  uint32_t Count(size_t element_bytes) {
    const uint32_t count = Read<uint32_t>();
    if (count > (end_ - position_) / element_bytes) {
      Fail(ErrorCode::kInvalidPlan, "%s is truncated: %u elements at byte %zu do not fit", what_,
           count, position_);
    }
    return count;
  }

  size_t remaining() const { return end_ - position_; }

 private:
  const uint8_t* data_;
  size_t end_;
  size_t position_ = 0;
  const char* what_;
};

}  // namespace hidet
