#include "hidet_core/runtime/module.h"

#include <elf.h>

#include <array>
#include <cstring>
#include <limits>

#include "hidet_core/runtime/elf_image.h"

namespace hidet {
namespace {

constexpr uint64_t kMaxMappedBytes = uint64_t{1} << 30;  // keeps 32-bit distances representable
constexpr size_t kGotEntryBytes = 8;
constexpr size_t kStubBytes = 16;
constexpr uint64_t kNotLoaded = std::numeric_limits<uint64_t>::max();

enum Region : size_t { kCode, kConstants, kWritable, kRegionCount, kSkipped = kRegionCount };

void* ExternalAddress(const std::string& name) {
  if (name == "memcpy") return reinterpret_cast<void*>(&std::memcpy);
  if (name == "memmove") return reinterpret_cast<void*>(&std::memmove);
  if (name == "memset") return reinterpret_cast<void*>(&std::memset);
  Fail(
      ErrorCode::kInvalidPlan,
      "a kernel image needs the external symbol '%s'; only memcpy, memmove and memset are provided",
      name.c_str());
}

bool StartsWith(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

Region RegionOf(const ElfSection& section) {
  const bool unwind = section.type == SHT_X86_64_UNWIND || StartsWith(section.name, ".eh_frame");
  if ((section.flags & SHF_ALLOC) == 0 || section.type == SHT_NOTE || unwind) return kSkipped;
  const bool plain = section.type == SHT_PROGBITS || section.type == SHT_NOBITS;
  const bool writable = (section.flags & SHF_WRITE) != 0;
  const bool executable = (section.flags & SHF_EXECINSTR) != 0;
  if (!plain || (section.flags & (SHF_TLS | SHF_COMPRESSED)) != 0 || (writable && executable) ||
      section.alignment > Pages::page_bytes()) {
    Fail(ErrorCode::kInvalidPlan,
         "section '%s' of a kernel image is not supported: type %u, flags %#llx, alignment %llu",
         section.name.c_str(), section.type, static_cast<unsigned long long>(section.flags),
         static_cast<unsigned long long>(section.alignment));
  }
  if (executable) return kCode;
  return writable && !StartsWith(section.name, ".data.rel.ro") ? kWritable : kConstants;
}

// Loads one image; used once, then thrown away.
class Linker {
 public:
  explicit Linker(ByteSpan bytes) : image_(ParseElf(bytes)) {}

  Pages Link() {
    PlaceSections();
    PlaceLinkage();
    MapRegions();
    CopySections();
    for (const ElfSection& section : image_.sections) {
      if (section.type == SHT_RELA || section.type == SHT_REL) RelocateSection(section);
    }
    memory_.Protect(begin_[kCode], end_[kCode] - begin_[kCode], Access::kReadExecute);
    memory_.Protect(begin_[kConstants], end_[kConstants] - begin_[kConstants], Access::kRead);
    return std::move(memory_);
  }

  // Valid after Link. `base` is where the memory is.
  std::unordered_map<std::string, void*> Functions(uint8_t* base) const {
    std::unordered_map<std::string, void*> functions;
    for (const ElfSymbol& symbol : image_.symbols) {
      const bool function = symbol.type == STT_FUNC && symbol.binding != STB_LOCAL;
      if (!function || symbol.section == SHN_UNDEF || symbol.section >= image_.sections.size())
        continue;
      const ElfSection& section = image_.sections[symbol.section];
      if (region_[symbol.section] != kCode || symbol.value >= section.bytes) continue;
      functions[symbol.name] = base + SectionAddress(symbol.section) + symbol.value;
    }
    return functions;
  }

 private:
  // Takes `bytes` of a region; returns the offset within the region.
  uint64_t Take(Region region, uint64_t bytes, uint64_t alignment) {
    const uint64_t offset = (size_[region] + alignment - 1) & ~(alignment - 1);
    if (bytes > kMaxMappedBytes || offset + bytes > kMaxMappedBytes) {
      Fail(ErrorCode::kInvalidPlan, "a kernel image needs more than %llu bytes of memory",
           static_cast<unsigned long long>(kMaxMappedBytes));
    }
    size_[region] = offset + bytes;
    return offset;
  }

  void PlaceSections() {
    for (const ElfSection& section : image_.sections) {
      const Region region = RegionOf(section);
      region_.push_back(region);
      place_.push_back(region == kSkipped ? kNotLoaded
                                          : Take(region, section.bytes, section.alignment));
    }
  }

  // A GOT entry for each symbol that is reached through one, and a stub (jump through it) for each
  // external symbol: libc may be farther away than a 32-bit distance.
  void PlaceLinkage() {
    got_.assign(image_.symbols.size(), kNotLoaded);
    stub_.assign(image_.symbols.size(), kNotLoaded);
    for (const ElfSection& section : image_.sections) {
      if (section.type != SHT_RELA || !TargetIsLoaded(section)) continue;
      for (const ElfRelocation& relocation : ReadRelocations(image_, section)) {
        const uint32_t symbol = relocation.symbol;
        const bool external = IsExternal(symbol);
        if (external) ExternalAddress(image_.symbols[symbol].name);  // fails early, by name
        if ((external || UsesGot(relocation.type)) && got_[symbol] == kNotLoaded) {
          got_[symbol] = Take(kConstants, kGotEntryBytes, kGotEntryBytes);
        }
        if (external && stub_[symbol] == kNotLoaded) {
          stub_[symbol] = Take(kCode, kStubBytes, kStubBytes);
        }
      }
    }
  }

  void MapRegions() {
    const uint64_t page = Pages::page_bytes();
    uint64_t total = 0;
    for (size_t region = 0; region < kRegionCount; ++region) {
      begin_[region] = total;
      total += (size_[region] + page - 1) / page * page;
      end_[region] = total;
    }
    memory_ = Pages(total);
    base_ = reinterpret_cast<uintptr_t>(memory_.data());
  }

  void CopySections() {
    for (uint32_t i = 0; i < image_.sections.size(); ++i) {
      const ByteSpan contents = image_.sections[i].contents;
      if (place_[i] == kNotLoaded || contents.bytes == 0) continue;
      std::memcpy(memory_.data() + SectionAddress(i), contents.data, contents.bytes);
    }
    for (uint32_t i = 0; i < image_.symbols.size(); ++i) {
      if (got_[i] != kNotLoaded) Store<uint64_t>(begin_[kConstants] + got_[i], SymbolValue(i));
      if (stub_[i] != kNotLoaded) WriteStub(begin_[kCode] + stub_[i], begin_[kConstants] + got_[i]);
    }
  }

  // jmp *[rip + distance to the GOT entry]
  void WriteStub(uint64_t stub, uint64_t got) {
    constexpr uint64_t kJumpBytes = 6;
    const uint8_t opcode[2] = {0xFF, 0x25};
    std::memset(memory_.data() + stub, 0xCC, kStubBytes);
    std::memcpy(memory_.data() + stub, opcode, sizeof opcode);
    Store<uint32_t>(stub + sizeof opcode, static_cast<uint32_t>(got - (stub + kJumpBytes)));
  }

  bool TargetIsLoaded(const ElfSection& section) const {
    if (section.info >= image_.sections.size()) {
      Fail(ErrorCode::kInvalidPlan, "section '%s' of a kernel image relocates section %u of %zu",
           section.name.c_str(), section.info, image_.sections.size());
    }
    return place_[section.info] != kNotLoaded;
  }

  void RelocateSection(const ElfSection& section) {
    if (!TargetIsLoaded(section)) return;
    if (section.type == SHT_REL) {
      Fail(ErrorCode::kInvalidPlan,
           "section '%s' of a kernel image has relocations without addends", section.name.c_str());
    }
    for (const ElfRelocation& relocation : ReadRelocations(image_, section)) {
      Relocate(section.info, relocation);
    }
  }

  void Relocate(uint32_t target, const ElfRelocation& relocation) {
    if (relocation.type == R_X86_64_NONE) return;
    const bool wide = relocation.type == R_X86_64_64 || relocation.type == R_X86_64_PC64;
    const uint64_t width = wide ? 8 : 4;
    const uint64_t limit = image_.sections[target].bytes;
    if (limit < width || relocation.offset > limit - width) {
      Fail(ErrorCode::kInvalidPlan,
           "a relocation at byte %llu of section '%s' (%llu bytes) of a kernel image"
           " is outside of it",
           static_cast<unsigned long long>(relocation.offset), image_.sections[target].name.c_str(),
           static_cast<unsigned long long>(limit));
    }
    const uint64_t place = SectionAddress(target) + relocation.offset;
    const uint64_t here = base_ + place;
    const auto addend = static_cast<uint64_t>(relocation.addend);
    switch (relocation.type) {
      case R_X86_64_64: Store<uint64_t>(place, SymbolValue(relocation.symbol) + addend); break;
      case R_X86_64_PC64:
        Store<uint64_t>(place, SymbolValue(relocation.symbol) + addend - here);
        break;
      case R_X86_64_32:
        StoreUnsigned(place, SymbolValue(relocation.symbol) + addend, relocation);
        break;
      case R_X86_64_32S:
        StoreSigned(place, SymbolValue(relocation.symbol) + addend, relocation);
        break;
      case R_X86_64_PC32:
      case R_X86_64_PLT32:
        StoreSigned(place, CallAddress(relocation.symbol) + addend - here, relocation);
        break;
      case R_X86_64_GOTPCREL:
      case R_X86_64_GOTPCRELX:
      case R_X86_64_REX_GOTPCRELX: {
        const uint64_t entry = base_ + begin_[kConstants] + got_[relocation.symbol];
        StoreSigned(place, entry + addend - here, relocation);
        break;
      }
      default:
        Fail(ErrorCode::kInvalidPlan,
             "a kernel image has relocation type %u (symbol '%s'), which is not"
             " supported: compile it position-independent",
             relocation.type, NameOf(relocation.symbol));
    }
  }

  static bool UsesGot(uint32_t type) {
    return type == R_X86_64_GOTPCREL || type == R_X86_64_GOTPCRELX ||
           type == R_X86_64_REX_GOTPCRELX;
  }

  // Symbol 0 is ELF's "no symbol": undefined, but not external.
  bool IsExternal(uint32_t symbol) const {
    return symbol != 0 && image_.symbols[symbol].section == SHN_UNDEF;
  }

  uint64_t SymbolValue(uint32_t index) const {
    const ElfSymbol& symbol = image_.symbols[index];
    if (index == 0) return 0;
    if (symbol.section == SHN_UNDEF) {
      return reinterpret_cast<uintptr_t>(ExternalAddress(symbol.name));
    }
    if (symbol.section == SHN_ABS) return symbol.value;
    const bool loaded =
        symbol.section < image_.sections.size() && place_[symbol.section] != kNotLoaded;
    const bool plain = symbol.type != STT_TLS && symbol.type != STT_GNU_IFUNC;
    if (!loaded || !plain || symbol.value > image_.sections[symbol.section].bytes) {
      Fail(ErrorCode::kInvalidPlan,
           "symbol '%s' of a kernel image is not supported: section %u, type %u, value %llu",
           NameOf(index), symbol.section, symbol.type,
           static_cast<unsigned long long>(symbol.value));
    }
    return base_ + SectionAddress(symbol.section) + symbol.value;
  }

  uint64_t CallAddress(uint32_t symbol) const {
    const bool has_stub = stub_[symbol] != kNotLoaded;
    return has_stub ? base_ + begin_[kCode] + stub_[symbol] : SymbolValue(symbol);
  }

  const char* NameOf(uint32_t symbol) const { return image_.symbols[symbol].name.c_str(); }

  // Offset from the start of the memory.
  uint64_t SectionAddress(uint32_t section) const {
    return begin_[region_[section]] + place_[section];
  }

  template <typename T>
  void Store(uint64_t place, T value) {
    std::memcpy(memory_.data() + place, &value, sizeof value);
  }

  void StoreSigned(uint64_t place, uint64_t value, const ElfRelocation& relocation) {
    const auto narrow = static_cast<int32_t>(value);
    if (static_cast<uint64_t>(int64_t{narrow}) != value) FailOnRange(relocation);
    Store<int32_t>(place, narrow);
  }

  void StoreUnsigned(uint64_t place, uint64_t value, const ElfRelocation& relocation) {
    if (value > std::numeric_limits<uint32_t>::max()) FailOnRange(relocation);
    Store<uint32_t>(place, static_cast<uint32_t>(value));
  }

  [[noreturn]] void FailOnRange(const ElfRelocation& relocation) const {
    Fail(ErrorCode::kInvalidPlan,
         "a kernel image has a 32-bit relocation (type %u, symbol '%s') that does"
         " not reach: compile it position-independent",
         relocation.type, NameOf(relocation.symbol));
  }

  const ElfImage image_;
  Pages memory_;
  uintptr_t base_ = 0;
  std::vector<Region> region_;                  // per section
  std::vector<uint64_t> place_;                 // per section: offset in its region
  std::vector<uint64_t> got_;                   // per symbol: offset in kConstants
  std::vector<uint64_t> stub_;                  // per symbol: offset in kCode
  std::array<uint64_t, kRegionCount> size_{};   // bytes used
  std::array<uint64_t, kRegionCount> begin_{};  // offset in memory_
  std::array<uint64_t, kRegionCount> end_{};
};

}  // namespace

Module::Module(ByteSpan image) {
#if !defined(__x86_64__)
  Fail(ErrorCode::kInvalidPlan, "kernel images hold x86-64 code, which this machine cannot run");
#endif
  Linker linker(image);
  memory_ = linker.Link();
  functions_ = linker.Functions(memory_.data());
}

void* Module::Find(const std::string& symbol) const {
  const auto found = functions_.find(symbol);
  if (found == functions_.end()) {
    Fail(ErrorCode::kInvalidPlan, "a kernel image has no function '%s'", symbol.c_str());
  }
  return found->second;
}

}  // namespace hidet
