"""What a schedule template takes and gives.

A `Problem` is one anchor operator with the buffers it reads and writes (their strides are those of
the storage chosen for the values). A template answers with a `Scheduled`: the program of that
operator alone. Fusion then rewrites the program; templates know nothing of it but two flags: which
inputs are constants (may be repacked at compile time) and which are computed by a fused prologue
(dear to read twice).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hidet_core.compute.definition import Definition
from hidet_core.ir.expr import Buffer
from hidet_core.ir.stmt import Program

Pack = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Problem:
    """op, attrs and definitions as in ops/ (the last definition's out is `output`, earlier ones are
    intermediate).

    inputs and output have the strides of their storage. constant[k], computed[k]: see the module.
    exact: sums are to be direct ones. allow_tf32: products of f32 may be of TF32.
    """

    op: str
    attrs: Mapping[str, Any]
    inputs: tuple[Buffer, ...]
    output: Buffer
    definitions: tuple[Definition, ...]
    constant: tuple[bool, ...]
    computed: tuple[bool, ...]
    exact: bool = False
    allow_tf32: bool = False
    name: str = "kernel"


@dataclass(frozen=True, eq=False)
class Scheduled:
    """program: stores `output`, loads `inputs` (an entry of `packed` replaces a constant by its
    repacked form).

    packed[k] = (buffer, pack): the program reads `buffer` instead of input k, filled at compile
    time by pack(array). workspace: parameters of the program that are neither inputs nor output,
    scratch memory; True: it is zero when the kernel starts, and the kernel leaves it zero.
    task_ns: estimated nanoseconds of one parallel task on one core, by which the runtime splits the
    work.
    """

    program: Program
    packed: Mapping[int, tuple[Buffer, Pack]] = field(default_factory=dict)
    config: str = ""
    task_ns: float = 10_000.0
    workspace: Mapping[Buffer, bool] = field(default_factory=dict)
