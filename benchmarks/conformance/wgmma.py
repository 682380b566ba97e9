"""Warpgroup products: each layout of operands in shared memory, with small integers in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.conformance.case import Case
from benchmarks.conformance.hopper import swizzled
from hidet_core.codegen.cuda.wgmma import products_source

ROWS, THREADS, BYTES = 64, 128, 49152  # of A; of a warpgroup; of shared memory
START_B = 16384


def wgmma_cases() -> Iterator[Case]:
    rng = np.random.default_rng(4)
    for swizzle in (0, 32, 64, 128):
        for columns in (8, 24, 256):
            yield _case(rng, "f16", columns, swizzle, (0, 0))
        yield _case(rng, "tf32", 40, swizzle, (0, 0))
        for turned in ((0, 1), (1, 0), (1, 1)):
            yield _case(rng, "bf16", 64, swizzle, turned)
    for kind, turned in (("f16", 0), ("f16", 1), ("bf16", 1)):
        yield _tile(rng, kind, turned)


def _offsets(
    rows: int, depth: int, size: int, swizzle: int, turned: int
) -> tuple[np.ndarray, int, int]:
    """Of each element [row, k] its byte from the start, the leading and the stride byte offset.

    As PTX describes them: rows of 16 bytes (or a swizzle's width), eight of them together; turned
    ones have the contiguous dimension along the rows.
    """
    row, k = np.indices((rows, depth))
    width = swizzle or 16
    if not turned:
        stride = 8 * width
        leading = 128 * ((rows + 7) // 8) if not swizzle else 16
        byte = k * size
        piece = byte // 16 * leading if not swizzle else byte // 16 * 16
        offset = row % 8 * width + row // 8 * stride + piece + byte % 16
    else:
        unit, within = row // 8, row % 8 * size
        if swizzle:
            pieces = swizzle // 16
            stride, leading = 8 * swizzle, 2 * 8 * swizzle
            offset = (
                unit % pieces * 16 + unit // pieces * leading + k % 8 * swizzle + k // 8 * stride
            )
        else:
            leading, stride = 128, 256
            offset = unit * stride + k % 8 * 16 + k // 8 * leading
        offset = offset + within
    return swizzled(offset, swizzle), leading, stride


def _bits(x: np.ndarray, kind: str) -> np.ndarray:
    if kind == "f16":
        return x.astype(np.float16).view(np.uint8).reshape(*x.shape, 2)
    wide = x.astype(np.float32).view(np.uint8).reshape(*x.shape, 4)
    return wide[..., 2:] if kind == "bf16" else wide


def _case(
    rng: np.random.Generator, kind: str, columns: int, swizzle: int, turned: tuple[int, int]
) -> Case:
    size = 4 if kind == "tf32" else 2
    depth = 32 // size
    image = np.full(BYTES, 0, np.uint8)
    matrices, operands = [], []
    for start, rows, is_turned in ((0, ROWS, turned[0]), (START_B, columns, turned[1])):
        x = rng.integers(-8, 9, (rows, depth))
        offsets, leading, stride = _offsets(rows, depth, size, swizzle, is_turned)
        for byte in range(size):
            image[start + offsets + byte] = _bits(x, kind)[..., byte]
        matrices.append(x)
        operands.append(f"ht_wgmma_operand<{swizzle}>(arena + {start}, {leading}, {stride})")
    product = (matrices[0] @ matrices[1].T).astype(np.float32)
    begin = rng.integers(-99, 99, (THREADS, columns // 2)).astype(np.float32)
    thread, element = np.indices(begin.shape)
    row = thread // 32 * 16 + thread % 32 // 4 + element // 2 % 2 * 8
    column = element // 4 * 8 + thread % 4 * 2 + element % 2
    added = product[row, column]
    template = "" if kind == "tf32" else f"<{turned[0]}, {turned[1]}>"
    call = f"ht_wgmma_{kind}_n{columns}{template}"
    count = columns // 2
    body = f"""
  for (int i = t; i < {BYTES // 4}; i += {THREADS}) {{
    reinterpret_cast<u32*>(arena)[i] = reinterpret_cast<const u32*>(in0)[i];
  }}
  ht_fence_proxy_async();
  ht_barrier();
  float d[{count}], e[{count}];
  HT_UNROLL
  for (int i = 0; i < {count}; ++i) d[i] = in1[t * {count} + i];
  ht_wgmma_fence();
  {call}(d, {operands[0]}, {operands[1]}, 1);
  ht_wgmma_commit();
  {call}(e, {operands[0]}, {operands[1]}, 0);
  {call}(e, {operands[0]}, {operands[1]}, 1);
  ht_wgmma_commit();
  ht_wgmma_wait<1>();
  ht_wgmma_results<{count}>(d);
  ht_wgmma_wait<0>();
  ht_wgmma_results<{count}>(e);
  HT_UNROLL
  for (int i = 0; i < {count}; ++i) {{
    out[t * {2 * count} + i] = d[i];
    out[t * {2 * count} + {count} + i] = e[i];
  }}"""
    return Case(
        f"ht_wgmma_{kind}_n{columns} swizzle {swizzle} turned {turned}", body, (image, begin),
        ("unsigned char", "float", "float"), np.concatenate([begin + added, 2 * added], 1),
        ("hopper.h", (kind, columns)), THREADS, BYTES,
    )  # fmt: skip


def _tile(rng: np.random.Generator, kind: str, turned: int) -> Case:
    """All steps of a tile as generated kernels take them: rows of 128 bytes, swizzled, of A and of
    B; B turned has rows of 64 columns, one for each depth, and after them those of the next 64.
    """
    columns, depth, width = 128, 64, 128
    left, right = rng.integers(-8, 9, (ROWS, depth)), rng.integers(-8, 9, (columns, depth))
    image = np.full(BYTES, 0, np.uint8)
    column, k = np.indices(right.shape)
    place = column // 64 * (64 * width) + k * width + column % 64 * 2
    places = place if turned else column * width + k * 2
    row, at = np.indices(left.shape)
    for start, x, offsets in ((0, left, row * width + at * 2), (START_B, right, places)):
        for byte in range(2):
            image[start + swizzled(offsets, width) + byte] = _bits(x, kind)[..., byte]
    product, count = (left @ right.T).astype(np.float32), columns // 2
    thread, element = np.indices((THREADS, count))
    rows = thread // 32 * 16 + thread % 32 // 4 + element // 2 % 2 * 8
    expected = product[rows, element // 4 * 8 + thread % 4 * 2 + element % 2]
    held = {"f16": "ht_f16", "bf16": "ht_bf16"}[kind]
    steps = "\n".join(
        f"  ht_wgmma_{kind}<{columns}, {width}, {step}, {turned}>(d, a, b);" for step in range(4)
    )
    body = f"""
  for (int i = t; i < {BYTES // 4}; i += {THREADS}) {{
    reinterpret_cast<u32*>(arena)[i] = reinterpret_cast<const u32*>(in0)[i];
  }}
  ht_fence_proxy_async();
  ht_barrier();
  const {held}* a = reinterpret_cast<{held}*>(arena);
  const {held}* b = reinterpret_cast<{held}*>(arena + {START_B});
  float d[{count}];
  HT_UNROLL
  for (int i = 0; i < {count}; ++i) d[i] = 0.0f;
  ht_wgmma_fence();
{steps}
  ht_wgmma_commit();
  ht_wgmma_wait<0>();
  ht_wgmma_results<{count}>(d);
  HT_UNROLL
  for (int i = 0; i < {count}; ++i) out[t * {count} + i] = d[i];"""
    return Case(
        f"ht_wgmma_{kind} of a tile, turned {turned}", body, (image,), ("unsigned char", "float"),
        expected, ("hopper.h",), THREADS, BYTES, before=products_source([(kind, columns)]),
    )  # fmt: skip
