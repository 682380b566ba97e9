// Vector types, half and bfloat16 of CUDA, for images.
//
// Copies of a vector type are one access of its whole size, as on the device, so that a misaligned
// one is seen; that is why they have copy functions (GCC would split a plain struct).
#pragma once

#include <cstdint>
#include <cstring>

using uint3 = ::hidet_emu::Index3;

#define HIDET_EMU_VECTOR_COPY(name, bytes)                                         \
  using Whole = char __attribute__((vector_size(bytes), may_alias));               \
  name() = default;                                                                \
  name(const name& other) { Copy(&other); }                                        \
  name& operator=(const name& other) {                                             \
    Copy(&other);                                                                  \
    return *this;                                                                  \
  }                                                                                \
  void Copy(const name* other) {                                                   \
    *reinterpret_cast<Whole*>(this) = *reinterpret_cast<const Whole*>(other);      \
  }

#define HIDET_EMU_VECTORS(scalar, prefix)                                          \
  struct alignas(2 * sizeof(scalar)) prefix##2 {                                   \
    scalar x, y;                                                                   \
    prefix##2(scalar a, scalar b) : x(a), y(b) {}                                  \
    HIDET_EMU_VECTOR_COPY(prefix##2, 2 * sizeof(scalar))                           \
  };                                                                               \
  struct alignas(4 * sizeof(scalar) > 16 ? 16 : 4 * sizeof(scalar)) prefix##4 {    \
    scalar x, y, z, w;                                                             \
    prefix##4(scalar a, scalar b, scalar c, scalar d) : x(a), y(b), z(c), w(d) {}  \
    HIDET_EMU_VECTOR_COPY(prefix##4, 4 * sizeof(scalar))                           \
  };                                                                               \
  inline prefix##2 make_##prefix##2(scalar x, scalar y) { return {x, y}; }         \
  inline prefix##4 make_##prefix##4(scalar x, scalar y, scalar z, scalar w) {      \
    return {x, y, z, w};                                                           \
  }
HIDET_EMU_VECTORS(float, float)
HIDET_EMU_VECTORS(int, int)
HIDET_EMU_VECTORS(unsigned, uint)
HIDET_EMU_VECTORS(short, short)
HIDET_EMU_VECTORS(unsigned short, ushort)
HIDET_EMU_VECTORS(signed char, char)
HIDET_EMU_VECTORS(unsigned char, uchar)
#undef HIDET_EMU_VECTORS
#undef HIDET_EMU_VECTOR_COPY

// Rounding is to the nearest, ties to even, as on the device.
struct __half {
  uint16_t bits;
  __half() = default;
  __half(float value) {
    const _Float16 narrow = static_cast<_Float16>(value);
    std::memcpy(&bits, &narrow, sizeof(bits));
  }
  operator float() const {
    const uint16_t copy = bits;
    _Float16 narrow;
    std::memcpy(&narrow, &copy, sizeof(narrow));
    return static_cast<float>(narrow);
  }
};
using half = __half;

struct __nv_bfloat16 {
  uint16_t bits;
  __nv_bfloat16() = default;
  __nv_bfloat16(float value) {
    uint32_t word;
    std::memcpy(&word, &value, sizeof(word));
    const bool nan = (word & 0x7fffffffu) > 0x7f800000u;
    bits = nan ? 0x7fff : static_cast<uint16_t>((word + 0x7fff + ((word >> 16) & 1)) >> 16);
  }
  operator float() const {
    const uint32_t word = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &word, sizeof(value));
    return value;
  }
};

inline __half __float2half(float value) { return __half(value); }
inline float __half2float(__half value) { return value; }
inline __nv_bfloat16 __float2bfloat16(float value) { return __nv_bfloat16(value); }
inline float __bfloat162float(__nv_bfloat16 value) { return value; }
