// How every function of the driver's API begins and ends.
//
// Enter() takes the lock, checks what the call needs, runs the body and turns a Fault into its
// code. No exception leaves a function; the text of the last one is kept for its thread.
#pragma once

#include <new>
#include <utility>

#include "hidet_core/emulator/driver/driver.h"

#define HIDET_EMU_API extern "C" __attribute__((visibility("default"))) CUresult

namespace hidet::emu {

enum class Needs { kNothing, kInit, kContext };

// The text of this thread's last failed call; "" at first.
std::string& LastError();

// The contexts pushed by this thread; the last one is current.
std::vector<CUcontext>& ContextStack();

// Throws unless the call may go on.
void CheckEntry(Driver& driver, Needs needs);

// Remembers the text; returns the code.
CUresult Report(const Fault& fault);

template <typename Body>
CUresult Enter(Needs needs, Body&& body) noexcept {
  Driver& driver = Driver::Get();
  const std::lock_guard<std::recursive_mutex> guard(driver.lock());
  try {
    CheckEntry(driver, needs);
    std::forward<Body>(body)(driver.state());
    return CUDA_SUCCESS;
  } catch (const DeviceFault& fault) {
    driver.state().queues.Clear();
    driver.state().poison = fault;
    return Report(fault);
  } catch (const Fault& fault) {
    return Report(fault);
  } catch (const std::bad_alloc&) {
    return Report({CUDA_ERROR_OUT_OF_MEMORY, "the host has no memory left"});
  } catch (const std::exception& error) {
    return Report({CUDA_ERROR_UNKNOWN, error.what()});
  }
}

template <typename Body>
CUresult Enter(Body&& body) noexcept {
  return Enter(Needs::kContext, std::forward<Body>(body));
}

// Throws INVALID_VALUE naming the argument if it is null.
inline void RequireArgument(const void* pointer, const char* name) {
  if (pointer == nullptr) {
    throw Fault{CUDA_ERROR_INVALID_VALUE, Format("argument %s is null", name)};
  }
}

// One row of bytes.
inline Place Linear(uintptr_t address) { return Place{address, 0, 0}; }

}  // namespace hidet::emu
