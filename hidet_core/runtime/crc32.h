// CRC-32 (IEEE 802.3, reflected, as zlib computes it): detects damaged plans, not attacks.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hidet {

// Thread-safe. Crc32 of an empty range is 0.
uint32_t Crc32(const uint8_t* data, size_t bytes);

}  // namespace hidet
