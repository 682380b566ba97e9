// What goes wrong: a CUresult and a text that says where.
//
// Thrown on the host's side only and turned into a return code by Enter() in api.h; device threads
// never throw, they leave through Block::Fail.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>

#include "hidet_core/runtime/cuda/cuda_abi.h"

namespace hidet::emu {

struct Fault {
  CUresult code;
  std::string text;
  const void* site = nullptr;  // the instruction after the access, where it is known
};

// A fault of work that was submitted before: it makes the context unusable.
struct DeviceFault : Fault {};

// printf into a string.
[[gnu::format(printf, 1, 2)]] inline std::string Format(const char* format, ...) {
  char buffer[512];
  va_list values;
  va_start(values, format);
  std::vsnprintf(buffer, sizeof(buffer), format, values);
  va_end(values);
  return buffer;
}

}  // namespace hidet::emu
