// What generated kernels call: types, threads, vector accesses, and arithmetic where C++ and our IR
// differ. It needs no other header, and stands at the head of every source. What is specific to a
// device is here alone: PTX for NVIDIA GPUs (NVRTC), and C++ for the emulated one.

typedef signed char i8;
typedef unsigned char u8;
typedef short i16;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

#define HT_DEV __device__ __forceinline__
#define HT_RESTRICT __restrict__
#define HT_UNROLL _Pragma("unroll")

HT_DEV int ht_block() { return blockIdx.x; }
HT_DEV int ht_thread() { return threadIdx.x; }
#define ht_barrier() __syncthreads()  // the emulator tells barriers apart by their line

template <class T>
HT_DEV T* ht_shared(unsigned char* arena, int offset) {
  return reinterpret_cast<T*>(arena + offset);
}

// Values with the bits of others.
template <class To, class From>
HT_DEV To ht_bits(From from) {
  union {
    From from;
    To to;
  } both;
  both.from = from;
  return both.to;
}

// 16-bit floats: storage, with arithmetic in float, rounded to nearest even.
#ifdef __CUDACC__
HT_DEV u16 ht_f16_of(float value) {
  u16 bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
HT_DEV float ht_of_f16(u16 bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}
HT_DEV u16 ht_bf16_of(float value) {
  u16 bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
#else  // the emulated device
HT_DEV u16 ht_f16_of(float value) { return __half(value).bits; }
HT_DEV float ht_of_f16(u16 bits) { return float(ht_bits<__half>(bits)); }
HT_DEV u16 ht_bf16_of(float value) { return __nv_bfloat16(value).bits; }
#endif

struct ht_f16 {
  u16 bits;
  ht_f16() = default;
  HT_DEV explicit ht_f16(float value) : bits(ht_f16_of(value)) {}
  HT_DEV explicit operator float() const { return ht_of_f16(bits); }
};

struct ht_bf16 {
  u16 bits;
  ht_bf16() = default;
  HT_DEV explicit ht_bf16(float value) : bits(ht_bf16_of(value)) {}
  HT_DEV explicit operator float() const { return ht_bits<float>(u32(bits) << 16); }
};

HT_DEV float ht_single(ht_f16 value) { return float(value); }
HT_DEV float ht_single(ht_bf16 value) { return float(value); }

// Vector accesses. The wide access needs an address that is a multiple of its size: where the
// compiler could not prove that, the address is looked at.
template <class T, int N>
struct alignas(sizeof(T) * N <= 16 ? sizeof(T) * N : 16) ht_vec {
  T lane[N];
};

template <int N, class T>
HT_DEV ht_vec<T, N> ht_load_aligned(const T* place) {
  return *reinterpret_cast<const ht_vec<T, N>*>(place);
}

template <int N, class T>
HT_DEV ht_vec<T, N> ht_load(const T* place) {
  bool fits = reinterpret_cast<u64>(place) % alignof(ht_vec<T, N>) == 0;
  if (fits) return ht_load_aligned<N>(place);
  ht_vec<T, N> value;
  HT_UNROLL
  for (int lane = 0; lane < N; ++lane) value.lane[lane] = place[lane];
  return value;
}

template <int N, class T>
HT_DEV void ht_store_aligned(T* place, ht_vec<T, N> value) {
  *reinterpret_cast<ht_vec<T, N>*>(place) = value;
}

template <int N, class T>
HT_DEV void ht_store(T* place, ht_vec<T, N> value) {
  if (reinterpret_cast<u64>(place) % alignof(ht_vec<T, N>) == 0) {
    ht_store_aligned<N>(place, value);
    return;
  }
  HT_UNROLL
  for (int lane = 0; lane < N; ++lane) place[lane] = value.lane[lane];
}

// Floats.
template <class T>
HT_DEV T ht_inf();
template <>
HT_DEV float ht_inf<float>() { return ht_bits<float>(0x7f800000u); }
template <>
HT_DEV double ht_inf<double>() { return ht_bits<double>(0x7ff0000000000000ull); }
template <class T>
HT_DEV T ht_nan();
template <>
HT_DEV float ht_nan<float>() { return ht_bits<float>(0x7fc00000u); }
template <>
HT_DEV double ht_nan<double>() { return ht_bits<double>(0x7ff8000000000000ull); }

#define HT_FUNCTION(name, single, both)              \
  HT_DEV float ht_##name(float a) { return single; } \
  HT_DEV double ht_##name(double a) { return both; }

HT_FUNCTION(exp, expf(a), exp(a))
HT_FUNCTION(log, logf(a), log(a))
HT_FUNCTION(sqrt, sqrtf(a), sqrt(a))
HT_FUNCTION(rsqrt, rsqrtf(a), 1.0 / sqrt(a))
HT_FUNCTION(tanh, tanhf(a), tanh(a))
HT_FUNCTION(erf, erff(a), erf(a))
HT_FUNCTION(sin, sinf(a), sin(a))
HT_FUNCTION(cos, cosf(a), cos(a))
HT_FUNCTION(tan, tanf(a), tan(a))
HT_FUNCTION(asin, asinf(a), asin(a))
HT_FUNCTION(acos, acosf(a), acos(a))
HT_FUNCTION(atan, atanf(a), atan(a))
HT_FUNCTION(sinh, sinhf(a), sinh(a))
HT_FUNCTION(cosh, coshf(a), cosh(a))
HT_FUNCTION(asinh, asinhf(a), asinh(a))
HT_FUNCTION(acosh, acoshf(a), acosh(a))
HT_FUNCTION(atanh, atanhf(a), atanh(a))
HT_FUNCTION(floor, floorf(a), floor(a))
HT_FUNCTION(ceil, ceilf(a), ceil(a))
HT_FUNCTION(round, rintf(a), rint(a))
HT_FUNCTION(trunc, truncf(a), trunc(a))
HT_FUNCTION(log1p, log1pf(a), log1p(a))
HT_FUNCTION(expm1, expm1f(a), expm1(a))
HT_FUNCTION(recip, 1.0f / a, 1.0 / a)
HT_FUNCTION(sigmoid, 1.0f / (1.0f + expf(-a)), 1.0 / (1.0 + exp(-a)))

template <class T>
HT_DEV bool ht_isnan(T a) { return a != a; }
HT_DEV bool ht_isinf(float a) { return fabsf(a) == ht_inf<float>(); }
HT_DEV bool ht_isinf(double a) { return fabs(a) == ht_inf<double>(); }
template <class T>
HT_DEV T ht_sign(T a) { return a > T(0) ? T(1) : a < T(0) ? T(-1) : a; }

// Of every type. Minima and maxima are NaN where either side is; integers wrap around, dividing
// them by zero gives 0, and floordiv and mod round towards minus infinity.
template <class T>
struct ht_unsigned_of { typedef T type; };
template <>
struct ht_unsigned_of<i32> { typedef u32 type; };
template <>
struct ht_unsigned_of<i64> { typedef u64 type; };

template <class T>
HT_DEV T ht_add(T a, T b) {
  typedef typename ht_unsigned_of<T>::type U;
  return T(U(a) + U(b));
}
template <class T>
HT_DEV T ht_sub(T a, T b) {
  typedef typename ht_unsigned_of<T>::type U;
  return T(U(a) - U(b));
}
template <class T>
HT_DEV T ht_mul(T a, T b) {
  typedef typename ht_unsigned_of<T>::type U;
  return T(U(a) * U(b));
}
HT_DEV u16 ht_mul(u16 a, u16 b) { return u16(u32(a) * u32(b)); }

template <class T>
HT_DEV T ht_min(T a, T b) { return a != a || a < b ? a : b; }
template <class T>
HT_DEV T ht_max(T a, T b) { return a != a || a > b ? a : b; }

template <class T>
HT_DEV T ht_neg(T a) { return ht_sub<T>(T(0), a); }
template <class T>
HT_DEV bool ht_is_minus_one(T a) { return T(-1) < T(0) && a == T(-1); }
template <class T>
HT_DEV T ht_abs(T a) { return a < T(0) ? ht_neg<T>(a) : a; }
HT_DEV float ht_abs(float a) { return fabsf(a); }
HT_DEV double ht_abs(double a) { return fabs(a); }

template <class T>
HT_DEV T ht_div(T a, T b) {
  if (b == T(0)) return T(0);
  return ht_is_minus_one(b) ? ht_neg<T>(a) : T(a / b);
}
template <class T>
HT_DEV T ht_mod(T a, T b) {
  if (b == T(0) || ht_is_minus_one(b)) return T(0);
  T rest = T(a % b);
  return rest != T(0) && (rest < T(0)) != (b < T(0)) ? T(rest + b) : rest;
}
template <class T>
HT_DEV T ht_floordiv(T a, T b) {
  if (b == T(0) || ht_is_minus_one(b)) return ht_div<T>(a, b);
  T rest = T(a % b);
  return T(a / b - (rest != T(0) && (rest < T(0)) != (b < T(0))));
}
HT_DEV float ht_mod(float a, float b) {
  float rest = fmodf(a, b);
  return rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
}
HT_DEV double ht_mod(double a, double b) {
  double rest = fmod(a, b);
  return rest != 0.0 && (rest < 0.0) != (b < 0.0) ? rest + b : rest;
}
HT_DEV float ht_floordiv(float a, float b) {
  float rest = fmodf(a, b);
  if (b == 0.0f) return a / b;
  return rintf((a - rest) / b) - (rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? 1.0f : 0.0f);
}
HT_DEV double ht_floordiv(double a, double b) {
  double rest = fmod(a, b);
  if (b == 0.0) return a / b;
  return rint((a - rest) / b) - (rest != 0.0 && (rest < 0.0) != (b < 0.0) ? 1.0 : 0.0);
}

// bytes of the words, unsigned of a and signed of b
template <class T>
HT_DEV T ht_dot4(T a, T b) {
  int total = 0;
  for (int place = 0; place < 32; place += 8) {
    int left = (u32(a) >> place) & 255u;
    int right = (int)(u32(b) << (24 - place)) >> 24;
    total += left * right;
  }
  return T(total);
}

template <class T>
HT_DEV T ht_shl(T a, T b) {
  typedef typename ht_unsigned_of<T>::type U;
  return b < T(0) || b >= T(sizeof(T) * 8) ? T(0) : T(U(a) << b);
}
template <class T>
HT_DEV T ht_shr(T a, T b) {
  bool over = b < T(0) || b >= T(sizeof(T) * 8);
  return over ? (a < T(0) ? T(-1) : T(0)) : T(a >> b);
}

HT_DEV float ht_pow(float a, float b) { return powf(a, b); }
HT_DEV double ht_pow(double a, double b) { return pow(a, b); }
template <class T>
HT_DEV T ht_pow(T base, T exponent) {
  if (exponent < T(0)) {
    if (base == T(1)) return T(1);
    return ht_is_minus_one(base) ? (exponent % T(2) == T(0) ? T(1) : T(-1)) : T(0);
  }
  T result = T(1);
  for (; exponent != T(0); exponent = T(exponent / T(2))) {
    if (exponent % T(2) != T(0)) result = ht_mul(result, base);
    base = ht_mul(base, base);
  }
  return result;
}
