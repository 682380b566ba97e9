#include "hidet_core/emulator/driver/module.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace hidet::emu {
namespace {

constexpr size_t kStaticLimit = 48 * 1024;  // of shared memory, unless a kernel asks for more

// The size of an ELF file in memory: its section headers come last.
size_t ElfBytes(const void* image) {
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof(header));
  const bool elf = std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0;
  if (!elf || header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN ||
      header.e_machine != EM_X86_64) {
    throw Fault{CUDA_ERROR_INVALID_IMAGE,
                "the image is no x86-64 shared object: the emulator runs what its compile_image() "
                "makes, neither cubin nor PTX"};
  }
  return header.e_shoff + size_t{header.e_shentsize} * header.e_shnum;
}

}  // namespace

std::shared_ptr<Module> Module::Load(const void* image) {
  if (*static_cast<const char*>(image) == '/') return LoadFile(static_cast<const char*>(image));
  const size_t bytes = ElfBytes(image);
  const int file = memfd_create("hidet_emu_image", MFD_CLOEXEC);
  const auto* data = static_cast<const char*>(image);
  for (size_t done = 0; done < bytes;) {
    const ssize_t written = write(file, data + done, bytes - done);
    if (written <= 0) {
      close(file);
      throw Fault{CUDA_ERROR_OUT_OF_MEMORY, "no memory for the image"};
    }
    done += static_cast<size_t>(written);
  }
  return std::shared_ptr<Module>(new Module(Format("/proc/%d/fd/%d", getpid(), file), file));
}

std::shared_ptr<Module> Module::LoadFile(const char* path) {
  if (access(path, R_OK) != 0) {
    throw Fault{CUDA_ERROR_FILE_NOT_FOUND, Format("cannot read the image %s", path)};
  }
  return std::shared_ptr<Module>(new Module(path, -1));
}

Module::Module(std::string path, int file)
    : file_(file), path_(std::move(path)), library_(dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (library_ == nullptr) {
    Close();
    throw Fault{CUDA_ERROR_INVALID_IMAGE, dlerror()};
  }
  const auto attach =
      reinterpret_cast<hidet_emu::AttachFunction>(dlsym(library_, "hidet_emu_attach"));
  info_ = attach == nullptr ? nullptr : attach(&Table());
  if (info_ == nullptr || info_->version != hidet_emu::kAbiVersion) {
    Close();
    throw Fault{CUDA_ERROR_INVALID_IMAGE,
                "the image was not made by this version's compile_image()"};
  }
  Dl_info where;
  dladdr(reinterpret_cast<void*>(attach), &where);
  base_ = reinterpret_cast<uintptr_t>(where.dli_fbase);
  dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void* data) {
        auto* self = static_cast<Module*>(data);
        if (object->dlpi_addr != self->base_) return 0;
        for (int index = 0; index < object->dlpi_phnum; ++index) {
          const auto& header = object->dlpi_phdr[index];
          const uintptr_t begin = self->base_ + header.p_vaddr;
          if (header.p_type != PT_LOAD) continue;
          self->segments_.push_back({begin, begin + header.p_memsz, (header.p_flags & PF_W) != 0});
        }
        return 1;
      },
      this);
  // The fields of the tables are loaded, too.
  const auto table = reinterpret_cast<uintptr_t>(&Table());
  segments_.push_back({table, table + sizeof(hidet_emu::DeviceTable), false});
  const auto async = reinterpret_cast<uintptr_t>(Table().async);
  segments_.push_back({async, async + sizeof(hidet_emu::AsyncTable), false});
  kernels_.resize(info_->count);
}

Module::~Module() { Close(); }

void Module::Close() {
  if (library_ != nullptr) dlclose(library_);
  if (file_ >= 0) close(file_);
}

std::string Module::SourceLine(const void* site) const {
  if (site == nullptr) return "";
  const uintptr_t offset = reinterpret_cast<uintptr_t>(site) - base_ - 1;
  const std::string command =
      Format("addr2line -s -i -e '%s' %#zx 2>/dev/null", path_.c_str(), offset);
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  char line[256];
  while (pipe != nullptr && std::fgets(line, sizeof(line), pipe.get()) != nullptr) {
    const size_t length = std::strcspn(line, " \n");
    const bool known = line[0] != '?' && length > 0;
    // Inlined frames come first; those of the device headers say nothing to the kernel's author.
    if (known && std::strncmp(line, "hidet_emu_", 10) != 0) return ", " + std::string(line, length);
  }
  return "";
}

const hidet_emu::VariableInfo& Module::FindVariable(const std::string& name) const {
  const hidet_emu::VariableInfo* row = info_->variables;
  for (; row->name != nullptr; ++row) {
    if (name == row->name) return *row;
  }
  throw Fault{CUDA_ERROR_NOT_FOUND, Format("no variable '%s' in the module", name.c_str())};
}

std::shared_ptr<Kernel> Module::FindKernel(const std::string& name) {
  std::string names;
  for (size_t index = 0; index < info_->count; ++index) {
    const KernelInfo& info = info_->kernels[index];
    names += std::string(" ") + info.name;
    if (name != info.name) continue;
    std::shared_ptr<Kernel> kernel = kernels_[index].lock();
    if (kernel == nullptr) {
      const size_t dynamic = info.static_shared < kStaticLimit
                                 ? kStaticLimit - info.static_shared : 0;
      kernel = std::make_shared<Kernel>(Kernel{&info, shared_from_this(), dynamic});
      kernels_[index] = kernel;
    }
    return kernel;
  }
  throw Fault{CUDA_ERROR_NOT_FOUND,
              Format("no kernel '%s' in the module; it has:%s", name.c_str(), names.c_str())};
}

}  // namespace hidet::emu
