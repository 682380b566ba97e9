"""Barrier objects, tensor copies, early launches: swizzled boxes, places outside of tensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.conformance.case import Case, Map

HEADERS = ("hopper.h", "programmatic.h")
THREADS = 128
READY = """
  u64* bar = reinterpret_cast<u64*>(arena + %d);
  if (t == 0) {
    ht_mbarrier_init(bar, 1);
    ht_mbarrier_fence();
  }
  ht_barrier();"""


def hopper_cases() -> Iterator[Case]:
    rng = np.random.default_rng(3)
    for swizzle in (0, 32, 64, 128):
        for place in ((0, 0), (16, -3), (48, 13)):
            yield _load(rng, swizzle, place)
    yield _load_box(rng, (8, 5, 3), (2, -1, 1), (16, 3, 2))
    yield _load_box(rng, (8, 5, 3, 4), (-4, 1, 2, 3), (16, 3, 2, 2))
    for swizzle in (0, 128):
        for place in ((0, 0), (16, 12)):
            yield _store(rng, swizzle, place)
    yield _store_box(rng)
    yield from _barriers(rng)


def swizzled(offset: np.ndarray, swizzle: int) -> np.ndarray:
    """Where a byte of a box lies: 16-byte pieces of a row XOR the number of 128 bytes."""
    mask = max(swizzle // 16 - 1, 0)
    return offset ^ ((offset >> 7 & mask) << 4)


def _box(x: np.ndarray, place: tuple[int, ...], box: tuple[int, ...]) -> np.ndarray:
    """The box of an array (innermost first), 0 outside."""
    index = np.indices(box[::-1])
    inside, where = np.ones(box[::-1], bool), []
    for axis, size in enumerate(x.shape):
        position = index[axis] + place[len(place) - 1 - axis]
        inside &= (position >= 0) & (position < size)
        where.append(np.clip(position, 0, size - 1))
    return np.where(inside, x[tuple(where)], 0).astype(x.dtype)


def _load(rng: np.random.Generator, swizzle: int, place: tuple[int, int]) -> Case:
    """A box of 16 rows of a [20, 56] matrix of f16; the dump of shared memory as it lies there."""
    x = rng.integers(0, 0x7C00, (20, 56), np.uint16)
    width = (swizzle or 64) // 2
    size = 16 * width * 2
    box = _box(x, place, (width, 16)).reshape(-1)
    expected = np.empty_like(box)
    expected[swizzled(np.arange(len(box)) * 2, swizzle) // 2] = box
    body = (
        (READY % 4096)
        + f"""
  if (t == 0) {{
    ht_tensor_prefetch(&map0);
    ht_mbarrier_expect(bar, {size});
    ht_tensor_load(arena, &map0, bar, {place[0]}, {place[1]});
  }}
  ht_mbarrier_wait(bar, 0);
  for (int i = t; i < {size // 2}; i += {THREADS}) out[i] = reinterpret_cast<u16*>(arena)[i];"""
    )
    return Case(
        f"ht_tensor_load swizzle {swizzle} at {place}", body, (x,), ("u16", "u16"), expected,
        HEADERS, THREADS, 4104, (Map(0, "f16", (56, 20), (112,), (width, 16), swizzle),),
    )  # fmt: skip


def _load_box(
    rng: np.random.Generator, box: tuple[int, ...], place: tuple[int, ...], sizes: tuple[int, ...]
) -> Case:
    x = rng.integers(0, 1 << 31, sizes[::-1]).astype(np.uint32)
    strides = tuple(4 * int(np.prod(sizes[:axis])) for axis in range(1, len(sizes)))
    count = int(np.prod(box))
    coordinates = ", ".join(map(str, place))
    body = (
        (READY % 4096)
        + f"""
  if (t == 0) {{
    ht_mbarrier_expect(bar, {4 * count});
    ht_tensor_load(arena, &map0, bar, {coordinates});
  }}
  while (!ht_mbarrier_try(bar, 0)) {{
  }}
  for (int i = t; i < {count}; i += {THREADS}) out[i] = reinterpret_cast<u32*>(arena)[i];"""
    )
    return Case(
        f"ht_tensor_load of rank {len(box)}", body, (x,), ("u32", "u32"),
        _box(x, place, box).reshape(-1), HEADERS, THREADS, 4104,
        (Map(0, "u32", sizes, strides, box),),
    )  # fmt: skip


def _store(rng: np.random.Generator, swizzle: int, place: tuple[int, int]) -> Case:
    """16 rows of shared memory to a [20, 64] matrix of f16; what lies outside is left out."""
    image = rng.integers(0, 0x7C00, 16 * 64, np.uint16)
    box = image[swizzled(np.arange(len(image)) * 2, swizzle) // 2].reshape(16, 64)
    expected = np.full((20, 64), 7, np.uint16)
    rows, columns = min(16, 20 - place[1]), min(64, 64 - place[0])
    expected[place[1] : place[1] + rows, place[0] : place[0] + columns] = box[:rows, :columns]
    body = f"""
  u16* tile = reinterpret_cast<u16*>(arena);
  for (int i = t; i < 1024; i += {THREADS}) tile[i] = in0[i];
  for (int i = t; i < 1280; i += {THREADS}) out[i] = 7;
  ht_fence_proxy_async();
  asm_fence();
  ht_barrier();
  if (t == 0) {{
    ht_tensor_store(&map0, arena, {place[0]}, {place[1]});
    ht_tensor_store_commit();
    ht_tensor_store_wait_read<0>();
    ht_tensor_store_wait<0>();
  }}"""
    return Case(
        f"ht_tensor_store swizzle {swizzle} at {place}", body, (image,), ("u16", "u16"), expected,
        HEADERS, THREADS, 2048, (Map(-1, "f16", (64, 20), (128,), (64, 16), swizzle),),
        before=GLOBAL_FENCE,
    )  # fmt: skip


# Of global memory: only tests write it both ways.
GLOBAL_FENCE = """
#ifdef __CUDACC__
HT_DEV void asm_fence() { asm volatile("fence.proxy.async.global;" ::: "memory"); }
#else
HT_DEV void asm_fence() {}
#endif
"""


def _store_box(rng: np.random.Generator) -> Case:
    x = rng.integers(0, 1 << 31, (2, 3, 8)).astype(np.uint32)
    expected = np.full((3, 4, 8), 7, np.uint32)
    expected[1:3, 2:4] = x[:, :2]
    body = f"""
  u32* tile = reinterpret_cast<u32*>(arena);
  if (t < 48) tile[t] = in0[t];
  for (int i = t; i < 96; i += {THREADS}) out[i] = 7;
  ht_fence_proxy_async();
  asm_fence();
  ht_barrier();
  if (t == 0) {{
    ht_tensor_store(&map0, arena, 0, 2, 1);
    ht_tensor_store_commit();
    ht_tensor_store_wait<0>();
  }}"""
    return Case(
        "ht_tensor_store of rank 3", body, (x,), ("u32", "u32"), expected, HEADERS, THREADS, 256,
        (Map(-1, "u32", (8, 4, 3), (32, 128), (8, 3, 2)),), before=GLOBAL_FENCE,
    )  # fmt: skip


def _barriers(rng: np.random.Generator) -> Iterator[Case]:
    x = rng.integers(0, 1 << 31, 5 * 64).astype(np.uint32)
    body = """
  u32* tile = reinterpret_cast<u32*>(arena);
  u64* full = reinterpret_cast<u64*>(arena + 256);
  u64* empty = full + 1;
  if (t == 0) {
    ht_mbarrier_init(full, 64);
    ht_mbarrier_init(empty, 64);
  }
  ht_barrier();
  for (int i = 0; i < 5; ++i) {
    if (t < 64) {
      ht_mbarrier_wait(empty, (i & 1) ^ 1);
      tile[t] = in0[i * 64 + t];
      ht_mbarrier_arrive(full);
    } else {
      ht_mbarrier_wait(full, i & 1);
      out[i * 64 + t - 64] = tile[127 - t] + 1;
      ht_mbarrier_arrive(empty);
    }
  }
  ht_barrier();
  if (t == 0) {
    ht_mbarrier_invalidate(full);
    ht_mbarrier_invalidate(empty);
  }"""
    turned = x.reshape(5, 64)[:, ::-1] + np.uint32(1)
    kinds = ("u32", "u32")
    yield Case("ht_mbarrier phases", body, (x,), kinds, turned, HEADERS, THREADS, 272)
    body = """
  u32* tile = reinterpret_cast<u32*>(arena);
  for (int i = 0; i < 5; ++i) {
    if (t < 64) {
      tile[t] = in0[i * 64 + t];
      ht_named_barrier_arrive(1, 128);
      ht_named_barrier(2, 128);
    } else {
      ht_named_barrier(1, 128);
      out[i * 64 + t - 64] = tile[127 - t] + 1;
      ht_named_barrier_arrive(2, 128);
    }
  }"""
    yield Case("ht_named_barrier", body, (x,), kinds, turned, HEADERS, THREADS, 256)
    body = """
  if (!ht_grid_wait()) return;
  if (t < 128) ht_registers_decrease<24>();
  else ht_registers_increase<240>();
  out[t] = in0[t];
  ht_grid_launch_dependents();"""
    yield Case("ht_registers, ht_grid_wait", body, (x[:256],), kinds, x[:256], HEADERS, 256)
