// Waiting for another thread: a moment at full speed, then with short sleeps.
#pragma once

#include <chrono>
#include <thread>

namespace hidet {

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// Returns when done() does; for waits that are short, or that another thread's work ends. A wait
// that is not short may be for a thread on the same core: one that only yields stays there, since
// it was running a moment ago, but one that slept is woken on a core that is free.
template <typename Condition>
void SpinUntil(Condition done) {
  constexpr int kSpins = 1000;  // some tens of microseconds
  for (int spins = 0; !done(); ++spins) {
    spins < kSpins ? Pause() : std::this_thread::sleep_for(std::chrono::microseconds(10));
  }
}

}  // namespace hidet
