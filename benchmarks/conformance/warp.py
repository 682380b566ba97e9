"""What a warp does together (instructions.h): copies, matrices, tensor cores, shuffles, atomics.

Products have small integers as operands, so that every order of adding them up gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.conformance.case import Case

HEADERS = ("instructions.h",)
LANES = np.arange(32)
GROUP, QUAD = LANES // 4, LANES % 4  # as PTX numbers the parts of fragments


def warp_cases() -> Iterator[Case]:
    rng = np.random.default_rng(2)
    for size in (4, 8, 16):
        yield _copy(rng, size)
    for count in (1, 2, 4):
        for transposed in (0, 1):
            yield _load_matrix(rng, count, transposed)
    yield from _products(rng)
    bits = rng.integers(0, 1 << 32, 32, np.uint32)
    bits[:4] = 0x3F801000, 0x3F803000, 0xBF801000, 0x7F800000  # ties away from zero, infinity
    x = bits.view(np.float32)
    finite = np.isfinite(x)
    rounded = np.where(finite, ((bits.astype(np.uint64) + 0x1000) & 0xFFFFE000), bits)
    body = "  float x = in0[t]; ht_round_tf32<1>(&x); out[t] = x;"
    yield Case("ht_round_tf32", body, (x,), ("float", "float"),
               rounded.astype(np.uint32).view(np.float32), HEADERS)  # fmt: skip
    for kind in ("f16", "bf16"):
        yield _pack(rng, kind)
    for bit in (1, 2, 4, 8, 16):
        yield _shuffle(rng, f"xor<{bit}>", LANES ^ bit)
    for delta in (1, 2, 4, 8, 16):
        yield _shuffle(rng, f"down<{delta}>", np.where(LANES + delta < 32, LANES + delta, LANES))
    yield _atomic(rng)
    yield _prefetch(rng)


def _pack(rng: np.random.Generator, kind: str) -> Case:
    """Pairs of all magnitudes, ties to even, infinities and what becomes one."""
    x = (rng.standard_normal(64) * 2.0 ** rng.integers(-30, 30, 64)).astype(np.float32)
    x[:6] = 1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-8, 1 + 3 * 2.0**-8, np.inf, -1e38
    if kind == "f16":
        with np.errstate(over="ignore"):
            halves = x.astype(np.float16).view(np.uint16)
    else:
        bits = x.view(np.uint32).astype(np.uint64)
        halves = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    body = f"  u32 word; ht_pack_{kind}(&word, in0 + 2 * t); out[t] = word;"
    expected = halves.view(np.uint32)
    return Case(f"ht_pack_{kind}", body, (x,), ("float", "u32"), expected, HEADERS)


def _copy(rng: np.random.Generator, size: int) -> Case:
    words = size // 4
    x = rng.integers(0, 1 << 32, 32 * words, np.uint32)
    inside = (LANES * 7 % 3 != 0).repeat(words)
    body = f"""
  u32* tile = reinterpret_cast<u32*>(arena);
  ht_copy_async<{words}>(tile + t * {words}, in0 + t * {words}, t * 7 % 3 != 0);
  ht_copy_commit();
  ht_copy_wait<0>();
  ht_barrier();
  for (int i = t; i < {32 * words}; i += 32) out[i] = tile[i];"""
    name = f"ht_copy_async {size} bytes"
    return Case(name, body, (x,), ("u32", "u32"), np.where(inside, x, 0).astype(np.uint32), HEADERS,
                shared=32 * size)  # fmt: skip


def _load_matrix(rng: np.random.Generator, count: int, transposed: int) -> Case:
    x = rng.integers(0, 1 << 16, (32, 8), np.uint16)
    body = f"""
  u16* tile = reinterpret_cast<u16*>(arena);
  for (int i = 0; i < 8; ++i) tile[t * 8 + i] = in0[t * 8 + i];
  ht_barrier();
  u32 word[4] = {{0, 0, 0, 0}};
  ht_load_matrix<{count}, {transposed}>(word, tile + t * 8);
  for (int i = 0; i < {count}; ++i) out[t * {count} + i] = word[i];"""
    expected = np.empty((32, count), np.uint32)
    for number in range(count):
        matrix = x[8 * number : 8 * number + 8]
        matrix = matrix.T if transposed else matrix
        low, high = matrix[GROUP, 2 * QUAD], matrix[GROUP, 2 * QUAD + 1]
        expected[:, number] = low.astype(np.uint32) | high.astype(np.uint32) << 16
    name = f"ht_load_matrix<{count}, {transposed}>"
    return Case(name, body, (x,), ("u16", "u32"), expected, HEADERS, shared=512)


def _products(rng: np.random.Generator) -> Iterator[Case]:
    """a[16, k] b[8, k]^T + sums[16, 8]: fragments are gathered here, the product is a matrix's."""
    for name, depth, dtype, sums in (
        ("f16", 16, np.float16, np.float32),
        ("bf16", 16, np.float32, np.float32),
        ("tf32", 8, np.float32, np.float32),
        ("i8", 32, np.int8, np.int32),
    ):
        per_word = depth // 8
        a = rng.integers(-8, 9, (16, depth)).astype(dtype)
        b = rng.integers(-8, 9, (8, depth)).astype(dtype)
        c = rng.integers(-99, 99, (16, 8)).astype(sums)
        expected = (a.astype(np.int64) @ b.astype(np.int64).T + c.astype(np.int64)).astype(sums)
        rows, columns = _halves(a, name), _halves(b, name)
        kinds = ("u32", "u32", "i32" if sums is np.int32 else "float")
        # the words of a: rows g and g + 8, word columns q and q + 4; of b: the same of row g
        words_a = np.stack(
            [_word(rows, GROUP + 8 * (i % 2), QUAD + 4 * (i // 2), per_word) for i in range(4)], 1
        )
        words_b = np.stack([_word(columns, GROUP, QUAD + 4 * i, per_word) for i in range(2)], 1)
        places = [(GROUP + 8 * (i // 2), 2 * QUAD + i % 2) for i in range(4)]
        held = np.stack([c[place] for place in places], 1)
        word = "float" if name == "tf32" else "u32"
        body = f"""
  {word} a[4], b[2];
  {kinds[-1]} sums[4];
  for (int i = 0; i < 4; ++i) a[i] = ht_bits<{word}>(in0[t * 4 + i]);
  for (int i = 0; i < 2; ++i) b[i] = ht_bits<{word}>(in1[t * 2 + i]);
  for (int i = 0; i < 4; ++i) sums[i] = in2[t * 4 + i];
  ht_mma_{name}(sums, a, b);
  for (int i = 0; i < 4; ++i) out[t * 4 + i] = sums[i];"""
        yield Case(
            f"ht_mma_{name}", body, (words_a, words_b, held), (*kinds, kinds[-1]),
            np.stack([expected[place] for place in places], 1), HEADERS,
        )  # fmt: skip


def _halves(x: np.ndarray, kind: str) -> np.ndarray:
    """The bits of the elements; bf16 is the upper half of a float32."""
    if kind == "bf16":
        return (x.view(np.uint32) >> 16).astype(np.uint16)
    return x.view(f"u{x.dtype.itemsize}")


def _word(bits: np.ndarray, rows: np.ndarray, words: np.ndarray, per_word: int) -> np.ndarray:
    value = np.zeros(32, np.uint32)
    for part in range(per_word):
        piece = bits[rows, words * per_word + part].astype(np.uint32)
        value |= piece << np.uint32(part * 32 // per_word)
    return value


def _shuffle(rng: np.random.Generator, call: str, source: np.ndarray) -> Case:
    x = rng.integers(0, 1 << 31, 32).astype(np.int32)
    body = f"  i32 y; ht_shuffle_{call}(&y, in0[t]); out[t] = y;"
    return Case(f"ht_shuffle_{call}", body, (x,), ("i32", "i32"), x[source], HEADERS)


def _prefetch(rng: np.random.Generator) -> Case:
    """It has no effect."""
    x = rng.integers(0, 1 << 31, 32).astype(np.int32)
    body = "  ht_prefetch_l2(in0 + t); out[t] = in0[t];"
    return Case("ht_prefetch_l2", body, (x,), ("i32", "i32"), x, HEADERS)


def _atomic(rng: np.random.Generator) -> Case:
    """The lanes' old values are all sums of some order; that they are distinct is what counts."""
    x = np.ones(32, np.int32)
    del rng
    body = """
  if (t == 0) out[32] = 0;
  ht_barrier();
  i32 old;
  ht_atomic_add(&old, out + 32, in0[t]);
  out[old] = 1;
  """
    expected = np.ones(33, np.int32)
    expected[32] = 32
    return Case("ht_atomic_add", body, (x,), ("i32", "i32"), expected, HEADERS)
