// CUDA C++ as the emulator understands it: qualifiers, builtin variables, barriers, shuffles,
// votes, atomics, asynchronous copies. Included before a kernel source by compile_image().
//
// What the preprocessor cannot do, compile_image() rewrites in the text: __shared__ variables and
// the list of kernels. Plain loads and stores need no wrapping: g++ -fsanitize=thread calls the
// hooks of hidet_emu_hooks.h before each of them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "hidet_emu_hooks.h"
#include "hidet_emu_types.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define __restrict__ __restrict
#define __grid_constant__

#define threadIdx (::hidet_emu::ThreadIndex())
#define blockIdx (::hidet_emu::BlockIndex())
#define blockDim (::hidet_emu::BlockSize())
#define gridDim (::hidet_emu::GridSize())
#define warpSize 32

// ---- barriers and fences

inline void __syncthreads(int line = __builtin_LINE()) { hidet_emu::table->barrier(0, 0, line); }

// bar.sync id, threads: a barrier of a part of the block.
inline void hidet_emu_named_barrier(unsigned id, unsigned threads, int line = __builtin_LINE()) {
  hidet_emu::table->barrier(id, threads, line);
}

inline void __threadfence() { hidet_emu::table->fence(); }
inline void __threadfence_block() {}

// ---- collectives of a warp

namespace hidet_emu {

inline unsigned Lane() {
  const Index3 thread = ThreadIndex(), size = BlockSize();
  return (thread.x + size.x * (thread.y + size.y * thread.z)) & 31;
}

template <typename In, typename Out>
Out Collect(const char* name, int line, unsigned mask, const In& in,
            void (*compute)(const Collective&, const void* const*, void* const*),
            uint64_t argument = 0, bool orders_memory = false) {
  In operand = in;
  Out result{};
  const Collective call{name, line, mask, &operand, &result, compute, argument, orders_memory};
  RunCollective(&call);
  return result;
}

template <typename T>
struct ShuffleOperand {
  T value;
  int source;  // the lane to read
};

template <typename T>
HIDET_EMU_UNCHECKED void ComputeShuffle(const Collective&, const void* const* in,
                                        void* const* out) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (in[lane] == nullptr) continue;
    const auto* mine = static_cast<const ShuffleOperand<T>*>(in[lane]);
    const auto* other = static_cast<const ShuffleOperand<T>*>(in[mine->source]);
    if (other == nullptr) {
      table->trap(kBadOperand, "shuffle reads a lane that does not take part");
      return;
    }
    *static_cast<T*>(out[lane]) = other->value;
  }
}

template <typename T>
T Shuffle(const char* name, unsigned mask, T value, int source, int line) {
  using Operand = ShuffleOperand<T>;
  return Collect<Operand, T>(name, line, mask, Operand{value, source}, ComputeShuffle<T>);
}

struct Ballot {
  unsigned active, set;
};

HIDET_EMU_UNCHECKED inline void ComputeBallot(const Collective&, const void* const* in,
                                              void* const* out) {
  Ballot ballot{0, 0};
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (in[lane] == nullptr) continue;
    ballot.active |= 1u << lane;
    if (*static_cast<const int*>(in[lane]) != 0) ballot.set |= 1u << lane;
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (out[lane] != nullptr) *static_cast<Ballot*>(out[lane]) = ballot;
  }
}

inline Ballot Vote(const char* name, unsigned mask, int predicate, int line,
                   bool orders_memory = false) {
  return Collect<int, Ballot>(name, line, mask, predicate, ComputeBallot, 0, orders_memory);
}

}  // namespace hidet_emu

inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
  hidet_emu::Vote("__syncwarp", mask, 0, line, true);
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, int line = __builtin_LINE()) {
  const int lane = static_cast<int>(hidet_emu::Lane());
  const int first = lane & ~(width - 1);
  return hidet_emu::Shuffle("__shfl_sync", mask, value, first + (source & (width - 1)), line);
}

template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 int line = __builtin_LINE()) {
  const int lane = static_cast<int>(hidet_emu::Lane()), from = lane - static_cast<int>(delta);
  const int source = from < (lane & ~(width - 1)) ? lane : from;
  return hidet_emu::Shuffle("__shfl_up_sync", mask, value, source, line);
}

template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   int line = __builtin_LINE()) {
  const int lane = static_cast<int>(hidet_emu::Lane()), from = lane + static_cast<int>(delta);
  const int source = from > (lane | (width - 1)) ? lane : from;
  return hidet_emu::Shuffle("__shfl_down_sync", mask, value, source, line);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, int line = __builtin_LINE()) {
  const int lane = static_cast<int>(hidet_emu::Lane()), from = lane ^ bits;
  const int source = from > (lane | (width - 1)) ? lane : from;
  return hidet_emu::Shuffle("__shfl_xor_sync", mask, value, source, line);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return hidet_emu::Vote("__ballot_sync", mask, predicate, line).set;
}

inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return hidet_emu::Vote("__any_sync", mask, predicate, line).set != 0;
}

inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  const hidet_emu::Ballot ballot = hidet_emu::Vote("__all_sync", mask, predicate, line);
  return ballot.set == ballot.active;
}

// ---- atomics: fibers share one thread, so reading and writing without a switch is atomic

namespace hidet_emu {

template <typename T, typename Update>
HIDET_EMU_UNCHECKED T Atomic(T* address, Update update) {
  table->spin();
  table->access(address, sizeof(T), kAtomic, sizeof(T), nullptr);
  const T old = *address;
  *address = update(old);
  return old;
}

}  // namespace hidet_emu

#define HIDET_EMU_ATOMIC(name, expression)                                                     \
  template <typename T>                                                                        \
  T name(T* address, typename std::common_type<T>::type value) {                               \
    return hidet_emu::Atomic(address, [value](T old) { return static_cast<T>(expression); }); \
  }
HIDET_EMU_ATOMIC(atomicAdd, old + value)
HIDET_EMU_ATOMIC(atomicSub, old - value)
HIDET_EMU_ATOMIC(atomicExch, ((void)old, value))
HIDET_EMU_ATOMIC(atomicMin, value < old ? value : old)
HIDET_EMU_ATOMIC(atomicMax, old < value ? value : old)
HIDET_EMU_ATOMIC(atomicAnd, old & value)
HIDET_EMU_ATOMIC(atomicOr, old | value)
HIDET_EMU_ATOMIC(atomicXor, old ^ value)
HIDET_EMU_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
#undef HIDET_EMU_ATOMIC

template <typename T>
T atomicCAS(T* address, typename std::common_type<T>::type compare,
            typename std::common_type<T>::type value) {
  return hidet_emu::Atomic(address, [=](T old) { return old == compare ? value : old; });
}

// ---- asynchronous copies (cp.async), under the names of cuda_pipeline.h

inline void __pipeline_memcpy_async(void* shared, const void* global, size_t bytes,
                                    size_t zero_fill = 0) {
  hidet_emu::table->copy_async(shared, global, bytes, bytes - zero_fill);
}
inline void __pipeline_commit() { hidet_emu::table->copy_commit(); }
inline void __pipeline_wait_prior(unsigned pending) { hidet_emu::table->copy_wait(pending); }

// ---- maths and the rest

inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }

template <typename T, typename U>
constexpr typename std::common_type<T, U>::type min(T a, U b) {
  return b < a ? b : a;
}
template <typename T, typename U>
constexpr typename std::common_type<T, U>::type max(T a, U b) {
  return a < b ? b : a;
}

template <typename T>
T __ldg(const T* address) {
  return *address;
}

inline void __trap() { hidet_emu::table->trap(hidet_emu::kTrap, "__trap()"); }

#undef assert
#define HIDET_EMU_TEXT(x) #x
#define assert(condition) \
  ((condition) ? (void)0 : hidet_emu::table->trap(hidet_emu::kAssert, HIDET_EMU_TEXT(condition)))
