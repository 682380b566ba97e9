#include "hidet_core/emulator/driver/arguments.h"

#include <algorithm>

#include "hidet_core/emulator/driver/api.h"

namespace hidet::emu {
namespace {

// {POINTER, buffer, SIZE, &bytes, END}, in any order.
std::pair<const char*, size_t> ReadExtra(void** extra) {
  const char* buffer = nullptr;
  size_t bytes = 0;
  for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER) {
      buffer = static_cast<const char*>(extra[1]);
    } else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE) {
      bytes = *static_cast<size_t*>(extra[1]);
    } else {
      throw Fault{CUDA_ERROR_INVALID_VALUE, "an unknown key in `extra`"};
    }
  }
  return {buffer, bytes};
}

// Parameters lie in the buffer like the members of a struct; those beyond 16 bytes align to 8.
std::vector<std::vector<char>> Unpack(const KernelInfo& info, const char* buffer, size_t bytes) {
  std::vector<std::vector<char>> values;
  size_t offset = 0;
  for (size_t index = 0; index < info.parameters; ++index) {
    const size_t size = info.parameter_bytes[index];
    const size_t lowest = size & (~size + 1);  // the largest power of two that divides it
    const size_t alignment = std::min<size_t>(lowest, size > 16 ? 8 : 16);
    offset = (offset + alignment - 1) / alignment * alignment;
    if (buffer == nullptr || offset + size > bytes) {
      throw Fault{CUDA_ERROR_INVALID_VALUE,
                  Format("the buffer of %zu bytes ends before parameter %zu of kernel %s", bytes,
                         index, info.name)};
    }
    values.emplace_back(buffer + offset, buffer + offset + size);
    offset += size;
  }
  return values;
}

}  // namespace

Launch MakeLaunch(const State& state, const LaunchArguments& arguments) {
  Launch launch{state.kernels.Get(arguments.function), arguments.blocks, arguments.threads,
                arguments.dynamic_shared, {}, arguments.programmatic};
  CheckLaunch(launch);
  const KernelInfo& info = *launch.kernel->info;
  if (arguments.parameters == nullptr && arguments.extra != nullptr) {
    const auto [buffer, bytes] = ReadExtra(arguments.extra);
    launch.parameters = Unpack(info, buffer, bytes);
    return launch;
  }
  if (info.parameters > 0) RequireArgument(arguments.parameters, "kernelParams");
  for (size_t index = 0; index < info.parameters; ++index) {
    const auto* value = static_cast<const char*>(arguments.parameters[index]);
    if (value == nullptr) {
      throw Fault{CUDA_ERROR_INVALID_VALUE,
                  Format("parameter %zu of %zu of kernel %s is null", index, info.parameters,
                         info.name)};
    }
    launch.parameters.emplace_back(value, value + info.parameter_bytes[index]);
  }
  return launch;
}

}  // namespace hidet::emu
