// Machine code of one kernel image, loaded in this process: a small linker for ELF objects.
//
// Loads the allocated sections in one mapping (code | read-only data | writable data), applies the
// relocations while all of it is writable and not executable, then makes code read+execute and
// constants (.rodata, .data.rel.ro) read-only: no page is ever writable and executable.
// The only external symbols are memcpy, memmove and memset. Unwind tables are not registered:
// kernels do not throw. Ownership: unmaps the code on destruction. Threading: immutable after
// construction.
#pragma once

#include <string>
#include <unordered_map>

#include "hidet_core/runtime/pages.h"
#include "hidet_core/runtime/reader.h"

namespace hidet {

class Module {
 public:
  // The image may go afterwards. Throws Error: kInvalidPlan for an image that is damaged, for
  // another machine or uses what is not supported; kFail if the system refuses memory.
  explicit Module(ByteSpan image);

  // The address of a defined function. Throws Error(kInvalidPlan) naming an unknown symbol.
  void* Find(const std::string& symbol) const;

  size_t bytes() const { return memory_.bytes(); }

 private:
  Pages memory_;
  std::unordered_map<std::string, void*> functions_;
};

}  // namespace hidet
