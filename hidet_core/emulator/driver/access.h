// Kinds of accesses, asked about. Plain values.
#pragma once

#include "hidet_core/emulator/device/abi.h"

namespace hidet::emu {

using hidet_emu::AccessKind;

inline bool IsRead(AccessKind kind) {
  return kind == hidet_emu::kRead || kind == hidet_emu::kAtomicRead;
}
inline bool IsAtomic(AccessKind kind) {
  return kind == hidet_emu::kAtomic || kind == hidet_emu::kAtomicRead;
}

}  // namespace hidet::emu
