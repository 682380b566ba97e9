// What kernels for compute capability 9.0 call, after intrinsics.h: barrier objects (mbarrier),
// tensor copies (TMA), named barriers, register budgets. The products of
// warpgroups are written by wgmma.py, one function for each width.
// PTX for NVIDIA GPUs (sm_90a), and the emulator's functions.

// A CUtensorMap, passed by value: `const HT_GRID_CONSTANT ht_tensor_map name`.
struct alignas(64) ht_tensor_map {
  u64 words[16];
};

#define HT_GRID_CONSTANT __grid_constant__

#ifdef __CUDACC__

#define HT_ASM(...) asm volatile(__VA_ARGS__ : "memory")

HT_DEV u32 ht_shared_address(const void* place) {
  return static_cast<u32>(__cvta_generic_to_shared(place));
}

// mbarriers: 8 bytes of shared memory each, initialised by one thread, then fenced, then a barrier
// of the block. The phase of a parity is over when all arrivals and announced bytes have come.
HT_DEV void ht_mbarrier_init(u64* barrier, u32 arrivals) {
  HT_ASM("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(ht_shared_address(barrier)),
         "r"(arrivals));
}
HT_DEV void ht_mbarrier_invalidate(u64* barrier) {
  HT_ASM("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(ht_shared_address(barrier)));
}
HT_DEV void ht_mbarrier_fence() { HT_ASM("fence.mbarrier_init.release.cluster;" ::); }
HT_DEV void ht_mbarrier_arrive(u64* barrier) {
  HT_ASM("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(ht_shared_address(barrier)));
}
HT_DEV void ht_mbarrier_expect(u64* barrier, u32 bytes) {
  HT_ASM("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
             ht_shared_address(barrier)),
         "r"(bytes));
}
HT_DEV bool ht_mbarrier_try(u64* barrier, u32 parity) {
  u32 done;
  asm volatile(
      "{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
      : "=r"(done)
      : "r"(ht_shared_address(barrier)), "r"(parity)
      : "memory");
  return done != 0;
}
HT_DEV void ht_mbarrier_wait(u64* barrier, u32 parity) {
  while (!ht_mbarrier_try(barrier, parity)) {
  }
}

// What this thread knows to be written becomes visible to tensor copies and wgmma.
HT_DEV void ht_fence_proxy_async() { HT_ASM("fence.proxy.async.shared::cta;" ::); }

// Boxes of tensors, the contiguous dimension first; their place in shared memory is a multiple of
// 128 bytes (1024 for swizzled boxes that wgmma reads).
#define HT_TENSOR_LOAD(rank, coordinates)                                                       \
  "cp.async.bulk.tensor." rank                                                                  \
  ".shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {" coordinates "}], [%2];"
#define HT_TENSOR_STORE(rank, coordinates) \
  "cp.async.bulk.tensor." rank ".global.shared::cta.tile.bulk_group [%0, {" coordinates "}], [%1];"

// The map itself comes to where copies will want it.
HT_DEV void ht_tensor_prefetch(const ht_tensor_map* map) {
  HT_ASM("prefetch.tensormap [%0];" ::"l"(map));
}
HT_DEV void ht_tensor_load(void* to, const ht_tensor_map* map, u64* barrier, int x, int y) {
  HT_ASM(HT_TENSOR_LOAD("2d", "%3, %4")::"r"(ht_shared_address(to)), "l"(map),
         "r"(ht_shared_address(barrier)), "r"(x), "r"(y));
}
HT_DEV void ht_tensor_load(void* to, const ht_tensor_map* map, u64* barrier, int x, int y, int z) {
  HT_ASM(HT_TENSOR_LOAD("3d", "%3, %4, %5")::"r"(ht_shared_address(to)), "l"(map),
         "r"(ht_shared_address(barrier)), "r"(x), "r"(y), "r"(z));
}
HT_DEV void ht_tensor_load(void* to, const ht_tensor_map* map, u64* barrier, int x, int y, int z,
                           int w) {
  HT_ASM(HT_TENSOR_LOAD("4d", "%3, %4, %5, %6")::"r"(ht_shared_address(to)), "l"(map),
         "r"(ht_shared_address(barrier)), "r"(x), "r"(y), "r"(z), "r"(w));
}
HT_DEV void ht_tensor_store(const ht_tensor_map* map, const void* from, int x, int y) {
  HT_ASM(HT_TENSOR_STORE("2d", "%2, %3")::"l"(map), "r"(ht_shared_address(from)), "r"(x),
         "r"(y));
}
HT_DEV void ht_tensor_store(const ht_tensor_map* map, const void* from, int x, int y, int z) {
  HT_ASM(HT_TENSOR_STORE("3d", "%2, %3, %4")::"l"(map), "r"(ht_shared_address(from)), "r"(x),
         "r"(y), "r"(z));
}
HT_DEV void ht_tensor_store_commit() { HT_ASM("cp.async.bulk.commit_group;" ::); }
template <int Pending>
HT_DEV void ht_tensor_store_wait() {
  HT_ASM("cp.async.bulk.wait_group %0;" ::"n"(Pending));
}
template <int Pending>
HT_DEV void ht_tensor_store_wait_read() {  // shared memory may be written again
  HT_ASM("cp.async.bulk.wait_group.read %0;" ::"n"(Pending));
}

// Barriers of `threads` (whole warps) of the block, numbers 1 to 15.
HT_DEV void ht_named_barrier(int number, int threads) {
  HT_ASM("bar.sync %0, %1;" ::"r"(number), "r"(threads));
}
HT_DEV void ht_named_barrier_arrive(int number, int threads) {
  HT_ASM("bar.arrive %0, %1;" ::"r"(number), "r"(threads));
}

// wgmma: a fence before the first one after accumulators changed, then products, then a commit;
// accumulators and operands are free again when the group was waited for.
HT_DEV void ht_wgmma_fence() { HT_ASM("wgmma.fence.sync.aligned;" ::); }
HT_DEV void ht_wgmma_commit() { HT_ASM("wgmma.commit_group.sync.aligned;" ::); }
template <int Pending>
HT_DEV void ht_wgmma_wait() {
  HT_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending));
}

// What comes after it and uses the sums of products is not moved before the wait.
template <int Count>
HT_DEV void ht_wgmma_results(float* d) {
  HT_UNROLL
  for (int i = 0; i < Count; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

template <int Registers>
HT_DEV void ht_registers_increase() {
  HT_ASM("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers>
HT_DEV void ht_registers_decrease() {
  HT_ASM("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}

#undef HT_TENSOR_LOAD
#undef HT_TENSOR_STORE
#undef HT_ASM

#else  // the emulated device

#define HT_EMU (hidet_emu::table->async)
#define HT_AT_LINE int line = __builtin_LINE()

HT_DEV u32 ht_shared_address(const void* place) { return HT_EMU->shared_address(place); }
HT_DEV void ht_mbarrier_init(u64* barrier, u32 arrivals) {
  HT_EMU->mbarrier_init(reinterpret_cast<uint64_t*>(barrier), arrivals);
}
HT_DEV void ht_mbarrier_invalidate(u64* barrier) {
  HT_EMU->mbarrier_invalidate(reinterpret_cast<uint64_t*>(barrier));
}
HT_DEV void ht_mbarrier_fence() { HT_EMU->mbarrier_fence(); }
HT_DEV void ht_mbarrier_arrive(u64* barrier) {
  HT_EMU->mbarrier_arrive(reinterpret_cast<uint64_t*>(barrier), 1, 0);
}
HT_DEV void ht_mbarrier_expect(u64* barrier, u32 bytes) {
  HT_EMU->mbarrier_arrive(reinterpret_cast<uint64_t*>(barrier), 1, bytes);
}
HT_DEV bool ht_mbarrier_try(u64* barrier, u32 parity) {
  if (HT_EMU->mbarrier_test(reinterpret_cast<uint64_t*>(barrier), parity, false)) return true;
  hidet_emu::table->spin();
  return false;
}
HT_DEV void ht_mbarrier_wait(u64* barrier, u32 parity) {
  HT_EMU->mbarrier_test(reinterpret_cast<uint64_t*>(barrier), parity, true);
}
HT_DEV void ht_fence_proxy_async() { HT_EMU->proxy_fence(); }
HT_DEV void ht_tensor_prefetch(const ht_tensor_map*) {}

HT_DEV void ht_tensor_load(void* to, const ht_tensor_map* map, u64* barrier, int x, int y) {
  const hidet_emu::TensorCopy copy{map, to, reinterpret_cast<uint64_t*>(barrier), {x, y}, 2};
  HT_EMU->tensor_load(&copy);
}
HT_DEV void ht_tensor_load(void* to, const ht_tensor_map* map, u64* barrier, int x, int y, int z) {
  const hidet_emu::TensorCopy copy{map, to, reinterpret_cast<uint64_t*>(barrier), {x, y, z}, 3};
  HT_EMU->tensor_load(&copy);
}
HT_DEV void ht_tensor_load(void* to, const ht_tensor_map* map, u64* barrier, int x, int y, int z,
                           int w) {
  const hidet_emu::TensorCopy copy{map, to, reinterpret_cast<uint64_t*>(barrier), {x, y, z, w}, 4};
  HT_EMU->tensor_load(&copy);
}
HT_DEV void ht_tensor_store(const ht_tensor_map* map, const void* from, int x, int y) {
  const hidet_emu::TensorCopy copy{map, const_cast<void*>(from), nullptr, {x, y}, 2};
  HT_EMU->tensor_store(&copy);
}
HT_DEV void ht_tensor_store(const ht_tensor_map* map, const void* from, int x, int y, int z) {
  const hidet_emu::TensorCopy copy{map, const_cast<void*>(from), nullptr, {x, y, z}, 3};
  HT_EMU->tensor_store(&copy);
}
HT_DEV void ht_tensor_store_commit() { HT_EMU->store_commit(); }
template <int Pending>
HT_DEV void ht_tensor_store_wait() {
  HT_EMU->store_wait(Pending, false);
}
template <int Pending>
HT_DEV void ht_tensor_store_wait_read() {
  HT_EMU->store_wait(Pending, true);
}
HT_DEV void ht_named_barrier(int number, int threads, HT_AT_LINE) {
  hidet_emu::table->barrier(number, threads, line);
}
HT_DEV void ht_named_barrier_arrive(int number, int threads, HT_AT_LINE) {
  HT_EMU->barrier_arrive(number, threads, line);
}
HT_DEV void ht_wgmma_fence() { HT_EMU->mma_fence(); }
HT_DEV void ht_wgmma_commit() { HT_EMU->mma_commit(); }
template <int Pending>
HT_DEV void ht_wgmma_wait() {
  HT_EMU->mma_wait(Pending);
}
template <int Count>
HT_DEV void ht_wgmma_results(float*) {}
template <int Registers>
HT_DEV void ht_registers_increase(HT_AT_LINE) {
  hidet_emu::Vote("setmaxnreg.inc", 0xffffffffu, Registers, line);
  HT_EMU->set_registers(Registers, true);
}
template <int Registers>
HT_DEV void ht_registers_decrease(HT_AT_LINE) {
  hidet_emu::Vote("setmaxnreg.dec", 0xffffffffu, Registers, line);
  HT_EMU->set_registers(Registers, false);
}

#undef HT_EMU
#undef HT_AT_LINE

#endif

// The descriptor of an operand of wgmma in shared memory. Bytes: between the rows' groups of 8
// (`stride`), and between the 16-byte columns of operands that are not swizzled or are transposed
// (`leading`); swizzle 0, 32, 64 or 128. A step along k inside of a swizzled row adds its bytes to
// the place.
template <int Swizzle>
HT_DEV u64 ht_wgmma_operand(const void* place, u32 leading, u32 stride) {
  static_assert(Swizzle == 0 || Swizzle == 32 || Swizzle == 64 || Swizzle == 128, "bytes");
  constexpr u64 mode = Swizzle == 128 ? 1 : Swizzle == 64 ? 2 : Swizzle == 32 ? 3 : 0;
  return u64((ht_shared_address(place) & 0x3FFFF) >> 4) | u64((leading & 0x3FFFF) >> 4) << 16 |
         u64((stride & 0x3FFFF) >> 4) << 32 | mode << 62;
}
