// Names of errors, addresses of functions, and what only the emulator has.
#include <dlfcn.h>

#include <cstring>
#include <utility>

#include "hidet_core/emulator/driver/api.h"

namespace hidet::emu {
namespace {

struct Code {
  CUresult code;
  const char *name, *text;
};

#define HIDET_EMU_CODE(name, text) {name, #name, text}
constexpr Code kCodes[] = {
    HIDET_EMU_CODE(CUDA_SUCCESS, "no error"),
    HIDET_EMU_CODE(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    HIDET_EMU_CODE(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    HIDET_EMU_CODE(CUDA_ERROR_NOT_INITIALIZED, "initialization error"),
    HIDET_EMU_CODE(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"),
    HIDET_EMU_CODE(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    HIDET_EMU_CODE(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"),
    HIDET_EMU_CODE(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    HIDET_EMU_CODE(CUDA_ERROR_FILE_NOT_FOUND, "file not found"),
    HIDET_EMU_CODE(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"),
    HIDET_EMU_CODE(CUDA_ERROR_ILLEGAL_STATE, "the operation cannot be performed in the state"),
    HIDET_EMU_CODE(CUDA_ERROR_NOT_FOUND, "named symbol not found"),
    HIDET_EMU_CODE(CUDA_ERROR_NOT_READY, "device not ready"),
    HIDET_EMU_CODE(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"),
    HIDET_EMU_CODE(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources for launch"),
    HIDET_EMU_CODE(CUDA_ERROR_LAUNCH_TIMEOUT, "the launch timed out and was terminated"),
    HIDET_EMU_CODE(CUDA_ERROR_ASSERT, "device-side assert triggered"),
    HIDET_EMU_CODE(CUDA_ERROR_ILLEGAL_INSTRUCTION, "an illegal instruction was encountered"),
    HIDET_EMU_CODE(CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address"),
    HIDET_EMU_CODE(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"),
    HIDET_EMU_CODE(CUDA_ERROR_NOT_PERMITTED, "operation not permitted"),
    HIDET_EMU_CODE(CUDA_ERROR_NOT_SUPPORTED, "operation not supported"),
    HIDET_EMU_CODE(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "not permitted while capturing"),
    HIDET_EMU_CODE(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "the capture failed before"),
    HIDET_EMU_CODE(CUDA_ERROR_STREAM_CAPTURE_MERGE, "would merge two captures"),
    HIDET_EMU_CODE(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture began elsewhere"),
    HIDET_EMU_CODE(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "the capture has unjoined work"),
    HIDET_EMU_CODE(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "dependency across a capture's border"),
    HIDET_EMU_CODE(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "dependency on the default stream"),
    HIDET_EMU_CODE(CUDA_ERROR_CAPTURED_EVENT, "the event was recorded in a capture"),
    HIDET_EMU_CODE(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "the graph was not updated"),
    HIDET_EMU_CODE(CUDA_ERROR_UNKNOWN, "unknown error"),
};
#undef HIDET_EMU_CODE

const Code* Find(CUresult code) {
  for (const Code& row : kCodes) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

CUresult Describe(CUresult code, const char* Code::*field, const char** text) {
  if (text == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Code* row = Find(code);
  *text = row == nullptr ? nullptr : row->*field;
  return row == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

// Functions whose plain name means this version for programs made for CUDA `since` or later.
struct Version {
  const char* name;
  int since;
  const char* suffix;
};
constexpr Version kVersions[] = {
    {"cuCtxCreate", 13000, "_v4"},
    {"cuGraphAddDependencies", 13000, "_v2"},
    {"cuGraphAddDependencies", 0, ""},
};

std::string Exported(const char* name, int cuda_version) {
  for (const Version& row : kVersions) {
    if (std::strcmp(row.name, name) == 0 && cuda_version >= row.since) {
      return std::string(name) + row.suffix;
    }
  }
  return std::string(name) + "_v2";
}

// This library's own function of a plain name.
void* FindFunction(const char* name, int cuda_version) {
  Dl_info self;
  dladdr(reinterpret_cast<void*>(&FindFunction), &self);
  void* library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return nullptr;
  void* found = dlsym(library, Exported(name, cuda_version).c_str());
  if (found == nullptr) found = dlsym(library, name);
  dlclose(library);
  return found;
}

}  // namespace

HIDET_EMU_API cuGetErrorName(CUresult code, const char** name) {
  return Describe(code, &Code::name, name);
}

HIDET_EMU_API cuGetErrorString(CUresult code, const char** text) {
  return Describe(code, &Code::text, text);
}

HIDET_EMU_API cuGetProcAddress_v2(const char* name, void** function, int cuda_version,
                                  uint64_t, CUdriverProcAddressQueryResult* status) {
  if (name == nullptr || function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *function = std::strncmp(name, "cu", 2) == 0 ? FindFunction(name, cuda_version) : nullptr;
  const bool found = *function != nullptr;
  if (status != nullptr) {
    *status = found ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  }
  return found ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

// ---- only in the emulator

// What the last failed call of this thread was about; valid until its next failed call.
extern "C" __attribute__((visibility("default"))) const char* hidetEmuLastError() {
  return LastError().c_str();
}

// The state before cuInit; all handles become invalid. The seed chooses the order of threads,
// blocks and streams: 0 ascending and at once, 1 descending, others random.
HIDET_EMU_API hidetEmuReset(unsigned seed) {
  Driver& driver = Driver::Get();
  const std::lock_guard<std::recursive_mutex> guard(driver.lock());
  if (driver.state().machine.in_host_function) return CUDA_ERROR_NOT_PERMITTED;
  driver.Reset(seed);
  LastError().clear();
  return CUDA_SUCCESS;
}

// A number by its name: one of Counters, "allocations" or "bytes" of living device memory, living
// "objects" of all kinds (pinned memory, streams, modules, ...); what the streams have not run yet
// is not counted. The largest number for an unknown name.
extern "C" __attribute__((visibility("default"))) uint64_t hidetEmuCount(const char* name) {
  Driver& driver = Driver::Get();
  const std::lock_guard<std::recursive_mutex> guard(driver.lock());
  const State& state = driver.state();
  const Counters& counters = state.machine.counters;
  const std::pair<const char*, uint64_t> numbers[] = {
      {"launches", counters.launches},
      {"graph_launches", counters.graph_launches},
      {"copies_to_device", counters.copies_to_device},
      {"copies_to_host", counters.copies_to_host},
      {"copies_on_device", counters.copies_on_device},
      {"allocations", state.memory.living()},
      {"bytes", state.memory.used()},
      {"objects", state.CountLive()},
  };
  for (const auto& [known, number] : numbers) {
    if (std::strcmp(known, name) == 0) return number;
  }
  return UINT64_MAX;
}

// The nth launch of a kernel from now on fails, as that of a faulty kernel does; 0: none.
HIDET_EMU_API hidetEmuFailLaunch(unsigned nth) {
  return Enter(Needs::kNothing, [&](State& state) { state.machine.launch_to_fail = nth; });
}

}  // namespace hidet::emu
