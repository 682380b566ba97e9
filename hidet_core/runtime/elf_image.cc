#include "hidet_core/runtime/elf_image.h"

#include <elf.h>

#include <cstring>

namespace hidet {
namespace {

constexpr const char* kWhat = "a kernel image";

ByteSpan Slice(ByteSpan image, uint64_t offset, uint64_t bytes, const char* what) {
  if (offset > image.bytes || bytes > image.bytes - offset) {
    Fail(ErrorCode::kInvalidPlan, "a kernel image of %zu bytes is truncated: %s needs %llu at %llu",
         image.bytes, what, static_cast<unsigned long long>(bytes),
         static_cast<unsigned long long>(offset));
  }
  return {image.data + offset, static_cast<size_t>(bytes)};
}

const char* MachineName(uint16_t machine) {
  switch (machine) {
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "AArch64";
    case EM_386: return "x86";
    case EM_ARM: return "ARM";
    case EM_RISCV: return "RISC-V";
    default: return "another machine";
  }
}

Elf64_Ehdr ReadHeader(ByteSpan image) {
  const auto header = Reader(image, kWhat).Read<Elf64_Ehdr>();
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    Fail(ErrorCode::kInvalidPlan, "a kernel image is no ELF file");
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    Fail(ErrorCode::kInvalidPlan, "a kernel image is no 64-bit little-endian ELF file");
  }
  if (header.e_machine != EM_X86_64) {
    Fail(ErrorCode::kInvalidPlan, "a kernel image is for %s (ELF machine %u), expected x86-64",
         MachineName(header.e_machine), header.e_machine);
  }
  if (header.e_type != ET_REL) {
    Fail(ErrorCode::kInvalidPlan, "a kernel image has ELF type %u, expected a relocatable object",
         header.e_type);
  }
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0) {
    Fail(ErrorCode::kInvalidPlan,
         "a kernel image has %u section headers of %u bytes, expected some of %zu", header.e_shnum,
         header.e_shentsize, sizeof(Elf64_Shdr));
  }
  return header;
}

// The zero-terminated string at `offset` of a string table.
std::string StringAt(ByteSpan table, uint64_t offset) {
  if (offset < table.bytes) {
    const auto* text = reinterpret_cast<const char*>(table.data + offset);
    const size_t limit = table.bytes - static_cast<size_t>(offset);
    const size_t length = ::strnlen(text, limit);
    if (length < limit) return std::string(text, length);
  }
  Fail(ErrorCode::kInvalidPlan, "a kernel image has a name outside of its string table");
}

ElfSection ReadSection(ByteSpan image, const Elf64_Shdr& header) {
  ElfSection section;
  section.type = header.sh_type;
  section.flags = header.sh_flags;
  section.bytes = header.sh_size;
  section.alignment = header.sh_addralign == 0 ? 1 : header.sh_addralign;
  section.link = header.sh_link;
  section.info = header.sh_info;
  if ((section.alignment & (section.alignment - 1)) != 0) {
    Fail(ErrorCode::kInvalidPlan,
         "a section of a kernel image has alignment %llu, expected a power of 2",
         static_cast<unsigned long long>(section.alignment));
  }
  const bool has_contents = header.sh_type != SHT_NOBITS && header.sh_type != SHT_NULL;
  section.contents = has_contents ? Slice(image, header.sh_offset, header.sh_size, "a section")
                                  : ByteSpan{nullptr, 0};
  return section;
}

const ElfSection& StringTable(const ElfImage& image, uint32_t index) {
  if (index >= image.sections.size() || image.sections[index].type != SHT_STRTAB) {
    Fail(ErrorCode::kInvalidPlan, "section %u of a kernel image is not its string table", index);
  }
  return image.sections[index];
}

void ReadSections(ByteSpan bytes, const Elf64_Ehdr& header, ElfImage& image) {
  Reader headers(Slice(bytes, header.e_shoff, uint64_t{header.e_shnum} * sizeof(Elf64_Shdr),
                       "the section table"),
                 kWhat);
  std::vector<uint32_t> names;
  for (uint32_t i = 0; i < header.e_shnum; ++i) {
    const auto section = headers.Read<Elf64_Shdr>();
    names.push_back(section.sh_name);
    image.sections.push_back(ReadSection(bytes, section));
  }
  const ByteSpan table = StringTable(image, header.e_shstrndx).contents;
  for (size_t i = 0; i < names.size(); ++i) image.sections[i].name = StringAt(table, names[i]);
}

void ReadSymbols(ElfImage& image) {
  for (uint32_t i = 1; i < image.sections.size(); ++i) {
    if (image.sections[i].type == SHT_SYMTAB) image.symbol_table = i;
  }
  if (image.symbol_table == 0) return;
  const ElfSection& section = image.sections[image.symbol_table];
  const ByteSpan names = StringTable(image, section.link).contents;
  Reader reader(section.contents, "the symbol table of a kernel image");
  while (reader.remaining() > 0) {
    const auto raw = reader.Read<Elf64_Sym>();
    image.symbols.push_back(
        {StringAt(names, raw.st_name), static_cast<uint8_t>(ELF64_ST_TYPE(raw.st_info)),
         static_cast<uint8_t>(ELF64_ST_BIND(raw.st_info)), raw.st_shndx, raw.st_value});
  }
}

}  // namespace

ElfImage ParseElf(ByteSpan bytes) {
  ElfImage image;
  ReadSections(bytes, ReadHeader(bytes), image);
  ReadSymbols(image);
  return image;
}

std::vector<ElfRelocation> ReadRelocations(const ElfImage& image, const ElfSection& section) {
  if (section.link != image.symbol_table) {
    Fail(ErrorCode::kInvalidPlan, "section '%s' of a kernel image refers to a strange symbol table",
         section.name.c_str());
  }
  std::vector<ElfRelocation> relocations;
  Reader reader(section.contents, "the relocations of a kernel image");
  while (reader.remaining() > 0) {
    const auto raw = reader.Read<Elf64_Rela>();
    const auto symbol = static_cast<uint32_t>(ELF64_R_SYM(raw.r_info));
    if (symbol >= image.symbols.size()) {
      Fail(ErrorCode::kInvalidPlan, "section '%s' of a kernel image refers to symbol %u of %zu",
           section.name.c_str(), symbol, image.symbols.size());
    }
    relocations.push_back(
        {raw.r_offset, static_cast<uint32_t>(ELF64_R_TYPE(raw.r_info)), symbol, raw.r_addend});
  }
  return relocations;
}

}  // namespace hidet
