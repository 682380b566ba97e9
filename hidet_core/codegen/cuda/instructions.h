// Instructions of the hardware that a program calls by name (ir/intrinsics.py): asynchronous
// copies, matrix products on tensor cores, shuffles, atomics. Follows intrinsics.h in the sources
// that use them. First those for NVIDIA GPUs, in PTX (PTX ISA, "Warp-level matrix instructions"),
// then the same for the emulated device.

// Ordered: who adds later sees what was stored, or seen at a barrier, before an earlier addition.
HT_DEV void ht_atomic_add(i32* out, i32* place, i32 value) {
  __threadfence();
  *out = atomicAdd(place, value);
  __threadfence();
}

#ifdef __CUDACC__

HT_DEV u32 ht_address(const void* shared) { return u32(__cvta_generic_to_shared(shared)); }

template <int N, class T>
HT_DEV void ht_copy_async(T* to, const T* from, bool inside) {
  constexpr int bytes = N * int(sizeof(T));
  const int size = inside ? bytes : 0;  // the rest of the bytes become 0
  if constexpr (bytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(ht_address(to)), "l"(from),
                 "r"(size) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;" ::"r"(ht_address(to)), "l"(from),
                 "r"(size), "n"(bytes) : "memory");
  }
}
HT_DEV void ht_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <class T>
HT_DEV void ht_prefetch_l2(const T* place) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(place)));
}
template <int N>
HT_DEV void ht_copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

template <int Count, int Transposed, class W, class T>
HT_DEV void ht_load_matrix(W* to, const T* row) {
  u32 word[4];
#define HT_LOAD_MATRIX(shape, trans, outputs, place, ...)                             \
  asm volatile("ldmatrix.sync.aligned.m8n8." shape trans ".shared.b16 {" outputs      \
               "}, [" place "];"                                                      \
               : __VA_ARGS__ : "r"(ht_address(row)) : "memory")
#define HT_WORDS_1 "=r"(word[0])
#define HT_WORDS_2 HT_WORDS_1, "=r"(word[1])
#define HT_WORDS_4 HT_WORDS_2, "=r"(word[2]), "=r"(word[3])
  if constexpr (Count == 1 && !Transposed) HT_LOAD_MATRIX("x1", "", "%0", "%1", HT_WORDS_1);
  if constexpr (Count == 1 && Transposed) HT_LOAD_MATRIX("x1", ".trans", "%0", "%1", HT_WORDS_1);
  if constexpr (Count == 2 && !Transposed) HT_LOAD_MATRIX("x2", "", "%0, %1", "%2", HT_WORDS_2);
  if constexpr (Count == 2 && Transposed)
    HT_LOAD_MATRIX("x2", ".trans", "%0, %1", "%2", HT_WORDS_2);
  if constexpr (Count == 4 && !Transposed)
    HT_LOAD_MATRIX("x4", "", "%0, %1, %2, %3", "%4", HT_WORDS_4);
  if constexpr (Count == 4 && Transposed)
    HT_LOAD_MATRIX("x4", ".trans", "%0, %1, %2, %3", "%4", HT_WORDS_4);
  HT_UNROLL
  for (int i = 0; i < Count; ++i) to[i] = ht_bits<W>(word[i]);
}

#define HT_MMA(name, shape, types, S, constraint, W)                                       \
  HT_DEV void ht_mma_##name(S* sums, const W* a, const W* b) {                             \
    asm volatile("mma.sync.aligned." shape ".row.col." types                               \
                 " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                  \
                 : constraint(sums[0]), constraint(sums[1]), constraint(sums[2]),          \
                   constraint(sums[3])                                                     \
                 : "r"(ht_bits<u32>(a[0])), "r"(ht_bits<u32>(a[1])),                       \
                   "r"(ht_bits<u32>(a[2])), "r"(ht_bits<u32>(a[3])),                       \
                   "r"(ht_bits<u32>(b[0])), "r"(ht_bits<u32>(b[1])));                      \
  }
HT_MMA(f16, "m16n8k16", "f32.f16.f16.f32", float, "+f", u32)
HT_MMA(bf16, "m16n8k16", "f32.bf16.bf16.f32", float, "+f", u32)
HT_MMA(tf32, "m16n8k8", "f32.tf32.tf32.f32", float, "+f", float)
HT_MMA(i8, "m16n8k32", "s32.s8.s8.s32", i32, "+r", u32)
HT_MMA(u8, "m16n8k32", "s32.u8.s8.s32", i32, "+r", u32)

HT_DEV float ht_tf32_of(float value) {
  u32 bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return ht_bits<float>(bits);
}

#else  // the emulated device

template <int N, class T>
HT_DEV void ht_copy_async(T* to, const T* from, bool inside) {
  __pipeline_memcpy_async(to, from, N * sizeof(T), inside ? 0 : N * sizeof(T));
}
HT_DEV void ht_copy_commit() { __pipeline_commit(); }
template <class T>
HT_DEV void ht_prefetch_l2(const T* place) {  // it must exist, and be ready to be read
  static_cast<void>(*reinterpret_cast<const volatile u8*>(place));
}
template <int N>
HT_DEV void ht_copy_wait() {
  __pipeline_wait_prior(N);
}

struct ht_matrix_row {
  u16 half[8];
};
struct ht_words {
  u32 word[4];
};

// The rows of all lanes are those of four matrices; lane l gets word l % 4 of row l / 4 of each.
HIDET_EMU_UNCHECKED inline void ht_emu_load_matrix(const hidet_emu::Collective& call,
                                                   const void* const* in, void* const* out) {
  const int count = int(call.argument / 2);
  const bool transposed = call.argument % 2 != 0;
  for (int lane = 0; lane < 32; ++lane) {
    for (int matrix = 0; matrix < count; ++matrix) {
      u32 word = 0;
      for (int side = 0; side < 2; ++side) {
        int row = lane / 4, column = lane % 4 * 2 + side;
        if (transposed) {
          const int held = row;
          row = column;
          column = held;
        }
        const auto* rows = static_cast<const ht_matrix_row*>(in[matrix * 8 + row]);
        word |= u32(rows->half[column]) << (16 * side);
      }
      static_cast<ht_words*>(out[lane])->word[matrix] = word;
    }
  }
}

template <int Count, int Transposed, class W, class T>
HT_DEV void ht_load_matrix(W* to, const T* row, int line = __builtin_LINE()) {
  ht_matrix_row mine{};
  if (int(hidet_emu::Lane()) < 8 * Count) {
    const ht_vec<u16, 8> read = ht_load_aligned<8>(reinterpret_cast<const u16*>(row));
    for (int i = 0; i < 8; ++i) mine.half[i] = read.lane[i];
  }
  const ht_words words = hidet_emu::Collect<ht_matrix_row, ht_words>(
      "load_matrix", line, 0xffffffffu, mine, ht_emu_load_matrix, Count * 2 + Transposed);
  for (int i = 0; i < Count; ++i) to[i] = ht_bits<W>(words.word[i]);
}

template <class S>
struct ht_mma_operands {
  S sums[4];
  u32 a[4], b[2];
};
template <class S>
struct ht_mma_sums {
  S sums[4];
};

// The number at place i of a word.
struct ht_word_f16 {
  static constexpr int count = 2;
  static float at(u32 word, int i) { return ht_of_f16(u16(word >> (16 * i))); }
};
struct ht_word_bf16 {
  static constexpr int count = 2;
  static float at(u32 word, int i) { return ht_bits<float>(word >> (16 * i) << 16); }
};
struct ht_word_tf32 {
  static constexpr int count = 1;
  static float at(u32 word, int) { return ht_bits<float>(word & 0xffffe000u); }
};
struct ht_word_i8 {
  static constexpr int count = 4;
  static i32 at(u32 word, int i) { return i8(word >> (8 * i)); }
};
struct ht_word_u8 {
  static constexpr int count = 4;
  static i32 at(u32 word, int i) { return u8(word >> (8 * i)); }
};

// Of a 16 x 8 words times b of 8 words x 8: lane 4g + t has the words (g, t), (g + 8, t),
// (g, t + 4), (g + 8, t + 4) of a, those at depth t and t + 4 of b's column g, and the sums of
// columns 2t and 2t + 1 in rows g and g + 8. Left: of a's words.
template <class S, class Word, class Left>
HIDET_EMU_UNCHECKED void ht_emu_mma(const hidet_emu::Collective&, const void* const* in,
                                    void* const* out) {
  S a[16][8 * Word::count], b[8][8 * Word::count];
  for (int lane = 0; lane < 32; ++lane) {
    const auto* mine = static_cast<const ht_mma_operands<S>*>(in[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < Word::count; ++i) {
      for (int w = 0; w < 4; ++w)
        a[g + w % 2 * 8][(t + w / 2 * 4) * Word::count + i] = Left::at(mine->a[w], i);
      for (int w = 0; w < 2; ++w) b[g][(t + w * 4) * Word::count + i] = Word::at(mine->b[w], i);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto* mine = static_cast<const ht_mma_operands<S>*>(in[lane]);
    for (int s = 0; s < 4; ++s) {
      const int row = lane / 4 + s / 2 * 8, column = lane % 4 * 2 + s % 2;
      S sum = mine->sums[s];
      for (int k = 0; k < 8 * Word::count; ++k) sum += a[row][k] * b[column][k];
      static_cast<ht_mma_sums<S>*>(out[lane])->sums[s] = sum;
    }
  }
}

template <class Word, class Left = Word, class S, class W>
HT_DEV void ht_emu_product(const char* name, int line, S* sums, const W* a, const W* b) {
  ht_mma_operands<S> mine;
  for (int i = 0; i < 4; ++i) mine.sums[i] = sums[i];
  for (int i = 0; i < 4; ++i) mine.a[i] = ht_bits<u32>(a[i]);
  for (int i = 0; i < 2; ++i) mine.b[i] = ht_bits<u32>(b[i]);
  const auto result = hidet_emu::Collect<ht_mma_operands<S>, ht_mma_sums<S>>(
      name, line, 0xffffffffu, mine, ht_emu_mma<S, Word, Left>);
  for (int i = 0; i < 4; ++i) sums[i] = result.sums[i];
}

#define HT_MMA(name, S, W)                                                                     \
  HT_DEV void ht_mma_##name(S* sums, const W* a, const W* b, int line = __builtin_LINE()) {    \
    ht_emu_product<ht_word_##name>("mma_" #name, line, sums, a, b);                            \
  }
HT_MMA(f16, float, u32)
HT_MMA(bf16, float, u32)
HT_MMA(tf32, float, float)
HT_MMA(i8, i32, u32)
HT_DEV void ht_mma_u8(i32* sums, const u32* a, const u32* b, int line = __builtin_LINE()) {
  ht_emu_product<ht_word_i8, ht_word_u8>("mma_u8", line, sums, a, b);
}

HT_DEV float ht_tf32_of(float value) {
  const u32 bits = ht_bits<u32>(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return value;
  return ht_bits<float>((bits + 0x1000u) & 0xffffe000u);
}

#endif

template <int N>
HT_DEV void ht_round_tf32(float* value) {
  HT_UNROLL
  for (int i = 0; i < N; ++i) value[i] = ht_tf32_of(value[i]);
}

#ifdef __CUDACC__
HT_DEV void ht_pack_f16(u32* word, const float* pair) {
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(*word) : "f"(pair[1]), "f"(pair[0]));
}
HT_DEV void ht_pack_bf16(u32* word, const float* pair) {
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(*word) : "f"(pair[1]), "f"(pair[0]));
}
#else
HT_DEV void ht_pack_f16(u32* word, const float* pair) {
  *word = u32(ht_f16_of(pair[0])) | u32(ht_f16_of(pair[1])) << 16;
}
HT_DEV void ht_pack_bf16(u32* word, const float* pair) {
  *word = u32(ht_bf16_of(pair[0])) | u32(ht_bf16_of(pair[1])) << 16;
}
#endif

#ifdef __CUDACC__
#define HT_LINE
#define HT_HERE
#else  // the emulator tells collectives apart by their line
#define HT_LINE , int line = __builtin_LINE()
#define HT_HERE , 32, line
#endif
template <int Bits, class T>
HT_DEV void ht_shuffle_xor(T* out, T value HT_LINE) {
  *out = __shfl_xor_sync(0xffffffffu, value, Bits HT_HERE);
}
template <int Delta, class T>
HT_DEV void ht_shuffle_down(T* out, T value HT_LINE) {
  *out = __shfl_down_sync(0xffffffffu, value, Delta HT_HERE);
}
