// Kernels that start before the kernels before them have ended (programmatic dependent launches),
// after intrinsics.h. PTX for NVIDIA GPUs, and the emulator's functions. On GPUs before sm_90 no
// kernel starts early.

#if defined(__CUDACC__) && __CUDA_ARCH__ < 900

HT_DEV bool ht_grid_wait() { return true; }
HT_DEV void ht_grid_launch_dependents() {}

#elif defined(__CUDACC__)

// Until the kernels before this one, whose end it did not wait for, are done and visible. Always
// true, which compilers do not know: where the rest of the kernel is what is done if it is true, no
// load can come before it. A barrier of the compiler is not enough, since loads through `const
// __restrict__` parameters pass those.
HT_DEV bool ht_grid_wait() {
  u32 blocks;
  asm volatile("griddepcontrol.wait; mov.u32 %0, %%nctaid.x;" : "=r"(blocks)::"memory");
  return blocks != 0;
}

// The kernel after this one may start once all blocks have come here, or have ended.
HT_DEV void ht_grid_launch_dependents() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

#else  // the emulated device

HT_DEV bool ht_grid_wait() {
  hidet_emu::table->async->grid_wait();
  return true;
}
HT_DEV void ht_grid_launch_dependents() { hidet_emu::table->async->grid_launch(); }

#endif
