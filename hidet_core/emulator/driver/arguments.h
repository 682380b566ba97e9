// Launches from the arguments of the API: sizes, and copies of the kernel's parameters.
#pragma once

#include "hidet_core/emulator/driver/driver.h"

namespace hidet::emu {

struct LaunchArguments {
  CUfunction function;
  Index3 blocks, threads;
  size_t dynamic_shared;
  void** parameters;  // or null, then `extra` holds a buffer
  void** extra;
  bool programmatic = false;
};

// Throws INVALID_HANDLE, INVALID_VALUE or LAUNCH_OUT_OF_RESOURCES. The parameters are copied.
Launch MakeLaunch(const State& state, const LaunchArguments& arguments);

}  // namespace hidet::emu
