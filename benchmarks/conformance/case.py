"""One case: a kernel, its inputs, what it must give; and how it is run."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hidet_core.codegen import cuda as codegen
from hidet_core.codegen.cuda.wgmma import wgmma_source

FOLDER = Path(codegen.__file__).parent
DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
MAP_BYTES, MAP_ALIGNMENT = 128, 64
TYPES = {"u8": 0, "u32": 2, "f16": 6, "f32": 7, "bf16": 9}  # CUtensorMapDataType
SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}


@dataclass(frozen=True)
class Map:
    """A tensor map of an array of the case: the innermost dimension comes first. array: the number
    of the input, -1 for the output. strides: bytes, of all dimensions but the first.
    """

    array: int
    dtype: str
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    box: tuple[int, ...]
    swizzle: int = 0


@dataclass(frozen=True, eq=False)
class Case:
    """body: of `kernel(maps..., inputs..., out)`, where maps are `map0` ..., inputs `in0` ...
    (of element types `kinds`), and `t` is the thread. expected: the output. rtol: 0 for equal bits;
    NaNs are equal. before: C++ between the headers and the kernel.
    """

    name: str
    body: str
    inputs: tuple[np.ndarray, ...]
    kinds: tuple[str, ...]  # C++ types of the inputs and, last, of the output
    expected: np.ndarray
    headers: tuple[str | tuple[str, int], ...] = ()  # names of files, or (kind, columns) of wgmma
    block: int = 32
    shared: int = 0
    maps: tuple[Map, ...] = ()
    rtol: float = 0.0
    before: str = ""

    @property
    def needs(self) -> tuple[int, int]:
        """The least compute capability."""
        return (9, 0) if "hopper.h" in self.headers else (8, 0)


def source_of(case: Case) -> str:
    """The CUDA C++ of a case."""
    texts = [(FOLDER / "intrinsics.h").read_text()]
    for header in case.headers:
        is_file = isinstance(header, str)
        texts.append((FOLDER / header).read_text() if is_file else wgmma_source(*header))
    *kinds, out = case.kinds
    maps = [f"const HT_GRID_CONSTANT ht_tensor_map map{n}" for n in range(len(case.maps))]
    inputs = [f"const {kind}* in{number}" for number, kind in enumerate(kinds)]
    parameters = ", ".join([*maps, *inputs, f"{out}* out"])
    arena = "extern __shared__ __align__(1024) unsigned char arena[];" if case.shared else ""
    texts.append(
        f'{case.before}\nextern "C" __global__ void __launch_bounds__({case.block}, 1) '
        f"kernel({parameters}) {{\n  {arena}\n  const int t = threadIdx.x;\n{case.body}\n}}\n"
    )
    return "\n".join(texts)


def run(device: Any, case: Case) -> np.ndarray:
    """The output of one block on a device (see benchmarks/gpu/driver.py)."""
    kernel = device.kernel(source_of(case), "kernel", case.shared)
    arrays = [device.upload(array) for array in case.inputs]
    out = device.upload(np.full(case.expected.nbytes, 0xEE, np.uint8))
    arrays.append(out)
    kept = [encode(device, map_, arrays[map_.array].address) for map_ in case.maps]
    values = [ctypes.c_uint64(array.address) for array in arrays]
    places = [*kept, *map(ctypes.addressof, values)]
    pointers = (ctypes.c_void_p * len(places))(*places)
    one = (1, 1, 1)
    device.call(
        "cuLaunchKernel", kernel.handle, *one, case.block, 1, 1, case.shared, device.stream,
        pointers, None,
    )  # fmt: skip
    device.synchronize()
    result = device.download(out, np.uint8)
    return result.view(case.expected.dtype).reshape(case.expected.shape)


_MAPS: list[Any] = []  # buffers of tensor maps stay until the process ends: they are small


def encode(device: Any, map_: Map, address: int) -> int:
    """The address of a tensor map in this process."""
    buffer = ctypes.create_string_buffer(MAP_BYTES + MAP_ALIGNMENT)
    _MAPS.append(buffer)
    place = -(-ctypes.addressof(buffer) // MAP_ALIGNMENT) * MAP_ALIGNMENT
    rank = len(map_.sizes)
    u32s, u64s = ctypes.c_uint32 * rank, ctypes.c_uint64 * rank
    device.call(
        "cuTensorMapEncodeTiled", ctypes.c_void_p(place), TYPES[map_.dtype], rank,
        ctypes.c_void_p(address), u64s(*map_.sizes), u64s(*map_.strides), u32s(*map_.box),
        u32s(*[1] * rank), 0, SWIZZLES[map_.swizzle], 0, 0,
    )  # fmt: skip
    return place


def differs(case: Case, result: np.ndarray, expected: np.ndarray) -> str | None:
    """What is different, None: nothing that matters."""
    if result.dtype.kind == "f":
        same = (result == expected) | (np.isnan(result) & np.isnan(expected))
        if case.rtol:
            same |= np.isclose(result, expected, rtol=case.rtol, atol=case.rtol * 1e-3)
    else:
        same = result == expected
    if np.all(same):
        return None
    places = np.argwhere(~same)
    first = tuple(int(index) for index in places[0])
    return (
        f"{case.name}: {len(places)} of {same.size} elements differ; at {first} it is "
        f"{result[first]!r}, not {expected[first]!r}"
    )
