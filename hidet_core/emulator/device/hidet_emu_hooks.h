// The part of every image that talks to the driver: the hooks that g++ -fsanitize=thread calls
// before loads and stores, builtin variables, __shared__ variables, the list of kernels.
//
// libtsan is not linked: the hooks are these. Locals that do not escape are not instrumented.
// Included in exactly one translation unit, the kernel's, because the hooks are defined here.
#pragma once

#include <type_traits>
#include <utility>

#include "abi.h"

#define HIDET_EMU_UNCHECKED __attribute__((noinline, no_sanitize("thread")))

namespace hidet_emu {

// Until the driver attaches, hooks are called by the constructors of globals only.
inline constexpr DeviceTable kDetached = {
    0,       [](const void*, size_t, AccessKind, size_t, const void*) {},
    nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
    nullptr, nullptr, nullptr};
[[gnu::visibility("hidden")]] inline const DeviceTable* table = &kDetached;

// `const` lets the compiler keep the results: a thread never changes its place.
#define HIDET_EMU_INDEX(name, field)                                          \
  __attribute__((const)) HIDET_EMU_UNCHECKED inline Index3 name() {           \
    return table->coordinates()->field;                                       \
  }
HIDET_EMU_INDEX(ThreadIndex, thread)
HIDET_EMU_INDEX(BlockIndex, block)
HIDET_EMU_INDEX(BlockSize, block_size)
HIDET_EMU_INDEX(GridSize, grid_size)
#undef HIDET_EMU_INDEX

HIDET_EMU_UNCHECKED inline void RunCollective(const Collective* call) { table->collective(call); }

// ---- __shared__ variables: compile_image() numbers them and calls SharedVariable<number, ...>

inline constexpr unsigned kMaxSharedVariables = 64;
[[gnu::visibility("hidden")]] inline size_t shared_bytes[kMaxSharedVariables] = {};

template <unsigned Id, typename T>
struct SharedSize {
  static_assert(Id < kMaxSharedVariables, "too many __shared__ variables in one source");
  static bool Register() {
    shared_bytes[Id] = sizeof(T);
    return true;
  }
  static inline const bool registered = Register();
};

template <unsigned Id, typename T, size_t Alignment>
T& SharedVariable() {
  (void)&SharedSize<Id, T>::registered;
  constexpr size_t alignment = Alignment > alignof(T) ? Alignment : alignof(T);
  return *static_cast<T*>(table->shared_variable(Id, sizeof(T), alignment));
}

template <typename T>
T* DynamicShared() {
  return static_cast<T*>(table->dynamic_shared());
}

// ---- kernels: compile_image() appends HIDET_EMU_IMAGE(HIDET_EMU_KERNEL(...), ...)

template <auto Kernel>
struct Wrapped;

template <typename... Parameters, void (*Kernel)(Parameters...)>
struct Wrapped<Kernel> {
  static constexpr size_t count = sizeof...(Parameters);
  static constexpr size_t bytes[count + 1] = {sizeof(Parameters)..., 0};

  HIDET_EMU_UNCHECKED static void Run(void** parameters) {
    Call(parameters, std::make_index_sequence<count>());
  }

  template <size_t... I>
  __attribute__((no_sanitize("thread"))) static void Call(
      [[maybe_unused]] void** parameters, std::index_sequence<I...>) {
    Kernel(*static_cast<std::remove_reference_t<Parameters>*>(parameters[I])...);
  }
};

inline size_t StaticShared(unsigned first, unsigned last) {
  size_t sum = 0;
  for (unsigned id = first; id < last; ++id) sum += shared_bytes[id];
  return sum;
}

}  // namespace hidet_emu

#define HIDET_EMU_KERNEL(name, max_threads, first_shared, last_shared)               \
  hidet_emu::KernelInfo {                                                            \
    #name, hidet_emu::Wrapped<name>::Run, hidet_emu::Wrapped<name>::bytes,           \
        hidet_emu::Wrapped<name>::count, static_cast<unsigned>(max_threads),         \
        hidet_emu::StaticShared(first_shared, last_shared)                           \
  }

#define HIDET_EMU_IMAGE(...)                                                         \
  extern "C" __attribute__((visibility("default"), no_sanitize("thread")))           \
  const hidet_emu::ImageInfo* hidet_emu_attach(const hidet_emu::DeviceTable* driver) { \
    static const hidet_emu::KernelInfo kernels[] = {__VA_ARGS__};                    \
    static const hidet_emu::ImageInfo image = {                                      \
        hidet_emu::kAbiVersion, kernels, sizeof(kernels) / sizeof(kernels[0]),       \
        hidet_emu_variables};                                                        \
    if (driver->version == hidet_emu::kAbiVersion) hidet_emu::table = driver;         \
    return &image;                                                                   \
  }

// ---- the hooks; GCC and clang call __tsan_unaligned_* where a type may be misaligned

#define HIDET_EMU_HOOK __attribute__((visibility("hidden"), noinline, no_sanitize("thread")))
#define HIDET_EMU_CHECK(kind, bytes, alignment)                                 \
  hidet_emu::table->access(address, bytes, hidet_emu::kind, alignment,          \
                           __builtin_return_address(0))
#define HIDET_EMU_ACCESS(bytes)                                                 \
  HIDET_EMU_HOOK void __tsan_read##bytes(void* address) {                       \
    HIDET_EMU_CHECK(kRead, bytes, bytes);                                       \
  }                                                                             \
  HIDET_EMU_HOOK void __tsan_write##bytes(void* address) {                      \
    HIDET_EMU_CHECK(kWrite, bytes, bytes);                                      \
  }                                                                             \
  HIDET_EMU_HOOK void __tsan_unaligned_read##bytes(void* address) {             \
    HIDET_EMU_CHECK(kRead, bytes, 1);                                           \
  }                                                                             \
  HIDET_EMU_HOOK void __tsan_unaligned_write##bytes(void* address) {            \
    HIDET_EMU_CHECK(kWrite, bytes, 1);                                          \
  }                                                                             \
  HIDET_EMU_HOOK void __tsan_volatile_read##bytes(void* address) {              \
    hidet_emu::table->spin();                                                   \
    HIDET_EMU_CHECK(kAtomicRead, bytes, bytes);                                 \
  }                                                                             \
  HIDET_EMU_HOOK void __tsan_volatile_write##bytes(void* address) {             \
    HIDET_EMU_CHECK(kAtomic, bytes, bytes);                                     \
  }

extern "C" {
HIDET_EMU_ACCESS(1)
HIDET_EMU_ACCESS(2)
HIDET_EMU_ACCESS(4)
HIDET_EMU_ACCESS(8)
HIDET_EMU_ACCESS(16)
HIDET_EMU_HOOK void __tsan_read_range(void* address, size_t bytes) {
  HIDET_EMU_CHECK(kRead, bytes, 1);
}
HIDET_EMU_HOOK void __tsan_write_range(void* address, size_t bytes) {
  HIDET_EMU_CHECK(kWrite, bytes, 1);
}
// The linker puts these in place of memcpy and memset, calls of which are not instrumented.
HIDET_EMU_HOOK void* __wrap_memcpy(void* to, const void* from, size_t bytes) {
  void* const result = to;
  const void* address = from;
  if (bytes > 0) HIDET_EMU_CHECK(kRead, bytes, 1);
  address = to;
  if (bytes > 0) HIDET_EMU_CHECK(kWrite, bytes, 1);
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return result;
}
HIDET_EMU_HOOK void* __wrap_memset(void* to, int value, size_t bytes) {
  void* const address = to;
  if (bytes > 0) HIDET_EMU_CHECK(kWrite, bytes, 1);
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return address;
}
HIDET_EMU_HOOK void __tsan_func_entry(void*) {}
HIDET_EMU_HOOK void __tsan_func_exit() {}
HIDET_EMU_HOOK void __tsan_init() {}
}
#undef HIDET_EMU_ACCESS
#undef HIDET_EMU_CHECK
#undef HIDET_EMU_HOOK
