// Kernel images, loaded: shared objects made by compile_image() (hidet_core/emulator/image.py).
//
// Ownership: a Module keeps its image mapped; kernels hold their module. Immutable after loading
// but for the kernels' attributes, which the driver's lock guards.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hidet_core/emulator/driver/block.h"

namespace hidet::emu {

struct Kernel {
  const KernelInfo* info;
  std::shared_ptr<const class Module> module;
  size_t max_dynamic_shared;
};

class Module : public std::enable_shared_from_this<Module> {
 public:
  // Of the bytes of an ELF file, or of a path if they begin with '/'. Throws INVALID_IMAGE.
  static std::shared_ptr<Module> Load(const void* image);

  // Of a file. Throws FILE_NOT_FOUND.
  static std::shared_ptr<Module> LoadFile(const char* path);

  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // The same object for the same name. Throws NOT_FOUND.
  std::shared_ptr<Kernel> FindKernel(const std::string& name);

  // The __device__ and __constant__ variables; the name behind the last one is null.
  const hidet_emu::VariableInfo* variables() const { return info_->variables; }

  // One of them. Throws NOT_FOUND.
  const hidet_emu::VariableInfo& FindVariable(const std::string& name) const;

  const std::vector<Segment>& segments() const { return segments_; }

  // ", kernel.cu:12": the source line of the instruction before `site`; "" if addr2line is
  // missing or does not know.
  std::string SourceLine(const void* site) const;

 private:
  Module(std::string path, int file);
  void Close();

  int file_ = -1;  // of an image in memory, for addr2line
  std::string path_;
  void* library_ = nullptr;
  uintptr_t base_ = 0;
  const hidet_emu::ImageInfo* info_ = nullptr;
  std::vector<Segment> segments_;
  std::vector<std::weak_ptr<Kernel>> kernels_;
};

}  // namespace hidet::emu
