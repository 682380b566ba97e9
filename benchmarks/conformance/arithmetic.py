"""Conversions and arithmetic of intrinsics.h, element by element, with inputs at the edges too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.conformance.case import Case

THREADS = 256
EDGES = np.array(
    [0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 65504, 65519.99, 65520, 1e-8, 6e-8, 6.1e-5, 3e38,
     1e-40],
    np.float32,
)  # fmt: skip

# name: (what NumPy computes in float64, the inputs' range)
FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], tuple[float, float]]] = {
    "exp": (np.exp, (-20, 20)),
    "log": (np.log, (1e-3, 50)),
    "sqrt": (np.sqrt, (0, 50)),
    "rsqrt": (lambda x: 1 / np.sqrt(x), (1e-3, 50)),
    "tanh": (np.tanh, (-4, 4)),
    "erf": (lambda x: _erf(x), (-3, 3)),
    "sin": (np.sin, (-6, 6)),
    "cos": (np.cos, (-6, 6)),
    "tan": (np.tan, (-1.4, 1.4)),
    "asin": (np.arcsin, (-1, 1)),
    "acos": (np.arccos, (-1, 0.9)),
    "atan": (np.arctan, (-9, 9)),
    "sinh": (np.sinh, (-4, 4)),
    "cosh": (np.cosh, (-4, 4)),
    "asinh": (np.arcsinh, (-9, 9)),
    "acosh": (np.arccosh, (1.1, 9)),
    "atanh": (np.arctanh, (-0.9, 0.9)),
    "log1p": (np.log1p, (-0.5, 9)),
    "expm1": (np.expm1, (-3, 3)),
    "recip": (lambda x: 1 / x, (0.1, 9)),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), (-9, 9)),
}
EXACT = {"floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc, "abs": np.abs}


def _erf(x: np.ndarray) -> np.ndarray:
    """By its power series, in float64; |x| <= 3 needs 60 terms."""
    total, term = np.zeros_like(x), x.copy()
    for n in range(60):
        total += term / (2 * n + 1)
        term = -term * x * x / (n + 1)
    return total * 2 / np.sqrt(np.pi)


def _rounded(a: object, b: object, towards_zero: bool) -> int:
    """a / b of integers; 0 where b is 0."""
    a, b = int(a), int(b)
    if b == 0:
        return 0
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) if towards_zero else a // b


INTEGER: dict[str, Callable[[object, object], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "min": min,
    "max": max,
    "div": lambda a, b: _rounded(a, b, True),
    "floordiv": lambda a, b: _rounded(a, b, False),
    "mod": lambda a, b: 0 if b == 0 else a - b * _rounded(a, b, False),
    "shl": lambda a, b: a << b if 0 <= b < 64 else 0,
    "shr": lambda a, b: a >> b if 0 <= b else (-1 if a < 0 else 0),
}


def arithmetic_cases() -> Iterator[Case]:
    """Conversions, functions of one float, functions of two integers."""
    rng = np.random.default_rng(1)
    yield from _conversions(rng)
    for name, (function, (low, high)) in FUNCTIONS.items():
        x = rng.uniform(low, high, THREADS).astype(np.float32)
        expected = function(x.astype(np.float64)).astype(np.float32)
        yield _unary(f"ht_{name}", x, expected, rtol=2e-6)
    halves = np.arange(-THREADS, THREADS, 2, dtype=np.float32) / 4
    for name, function in EXACT.items():
        x = np.concatenate([halves, rng.uniform(-9, 9, THREADS - len(halves)).astype(np.float32)])
        yield _unary(f"ht_{name}", x, function(x))
    for kind, dtype in (("i32", np.int32), ("i64", np.int64)):
        for name, function in INTEGER.items():
            yield _binary(rng, name, function, kind, dtype)


def _unary(name: str, x: np.ndarray, expected: np.ndarray, rtol: float = 0.0) -> Case:
    body = f"  out[t] = {name}(in0[t]);"
    kinds = ("float", "float")
    return Case(name, body, (x,), kinds, expected, block=THREADS, rtol=rtol)


def _binary(
    rng: np.random.Generator, name: str, function: Callable[[object, object], int], kind: str,
    dtype: type,
) -> Case:  # fmt: skip
    info = np.iinfo(dtype)
    a = rng.integers(info.min, info.max, THREADS, dtype, endpoint=True)
    b = rng.integers(-40, 70, THREADS).astype(dtype)
    a[:4], b[:4] = (info.min, info.min, info.max, -7), (-1, 0, 1, 2)
    bits = 8 * info.dtype.itemsize
    if name in ("shl", "shr"):
        limited = [function(x, y) if 0 <= y < bits else (-1 if x < 0 and name == "shr" else 0)
                   for x, y in zip(a.tolist(), b.tolist(), strict=True)]  # fmt: skip
    else:
        limited = [function(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    unsigned = [value & ((1 << bits) - 1) for value in limited]
    expected = np.array(unsigned, f"u{info.dtype.itemsize}").view(dtype)
    body = f"  out[t] = ht_{name}(in0[t], in1[t]);"
    return Case(f"ht_{name} {kind}", body, (a, b), (kind, kind, kind), expected, block=THREADS)


def _conversions(rng: np.random.Generator) -> Iterator[Case]:
    every = np.arange(1 << 16, dtype=np.uint16)
    loop = f"  for (int i = t; i < 65536; i += {THREADS}) out[i] = "
    widened = every.view(np.float16).astype(np.float32)
    yield Case("ht_of_f16", loop + "ht_of_f16(in0[i]);", (every,), ("u16", "float"), widened,
               block=THREADS)  # fmt: skip
    wild = rng.integers(0, 1 << 32, 4096, np.uint32).view(np.float32)
    near = rng.standard_normal(4096 - len(EDGES)) * 10.0 ** rng.integers(-8, 6, 4096 - len(EDGES))
    x = np.concatenate([wild, near.astype(np.float32), EDGES])
    loop = f"  for (int i = t; i < {len(x)}; i += {THREADS}) out[i] = "
    with np.errstate(all="ignore"):
        narrow = x.astype(np.float16)
    text = loop + "ht_f16(in0[i]);"
    yield Case("ht_f16", text, (x,), ("float", "ht_f16"), narrow, block=THREADS)
    text = loop + "float(ht_bf16(in0[i]));"
    yield Case("ht_bf16", text, (x,), ("float", "float"), bf16(x), block=THREADS)


def bf16(x: np.ndarray) -> np.ndarray:
    """Rounded to bfloat16, to the nearest, ties to even; as float32."""
    bits = x.astype(np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(x), np.float32(np.nan), rounded.view(np.float32))
