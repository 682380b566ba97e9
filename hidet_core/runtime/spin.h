// Waiting for another thread: a moment at full speed, then giving way to others.
#pragma once

#include <thread>

namespace hidet {

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// Returns when done() does; for waits that are short, or that another thread's work ends.
template <typename Condition>
void SpinUntil(Condition done) {
  constexpr int kSpins = 1000;  // some tens of microseconds
  for (int spins = 0; !done(); ++spins) spins < kSpins ? Pause() : std::this_thread::yield();
}

}  // namespace hidet
