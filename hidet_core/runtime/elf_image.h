// An ELF64 little-endian x86-64 relocatable object, read from untrusted bytes.
//
// After ParseElf: names are valid strings, contents lie within the image, symbol tables and
// relocation tables have whole entries. Addresses and offsets inside them are *not* checked here.
// Ownership: spans point into the image's bytes, which must outlive the ElfImage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hidet_core/runtime/reader.h"

namespace hidet {

struct ElfSection {
  std::string name;
  uint32_t type;   // SHT_...
  uint64_t flags;  // SHF_...
  uint64_t bytes;
  uint64_t alignment;  // a power of two
  uint32_t link;
  uint32_t info;
  ByteSpan contents;  // data is null for SHT_NOBITS
};

struct ElfSymbol {
  std::string name;
  uint8_t type;      // STT_...
  uint8_t binding;   // STB_...
  uint16_t section;  // index, or SHN_...
  uint64_t value;
};

struct ElfRelocation {
  uint64_t offset;
  uint32_t type;  // R_X86_64_...
  uint32_t symbol;
  int64_t addend;
};

struct ElfImage {
  std::vector<ElfSection> sections;
  std::vector<ElfSymbol> symbols;
  uint32_t symbol_table = 0;  // its section; 0: none
};

// Throws Error(kInvalidPlan), for other machines and file types too.
ElfImage ParseElf(ByteSpan image);

// The entries of a SHT_RELA section of the image.
std::vector<ElfRelocation> ReadRelocations(const ElfImage& image, const ElfSection& section);

}  // namespace hidet
