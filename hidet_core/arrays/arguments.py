"""The arrays given to a kernel, checked against its parameters; symbolic dims take their values.

takes: the parameters of a program and NumPy arrays      gives: the program's scalars and tasks, or
BadArgument naming the parameter, the axis, what was expected and what came
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from hidet_core.base.errors import HidetError, ProgramError
from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import Buffer, Expr, Var, wrap
from hidet_core.ir.intrinsics import stored_buffers
from hidet_core.ir.printer import text
from hidet_core.ir.simplify import simplify_dim
from hidet_core.ir.stmt import Program
from hidet_core.ir.substitute import substitute

Sizes = dict[Var, int]
REMEMBERED = 256  # sets of shapes whose scalars are kept: working them out takes a while


class BadArgument(HidetError, ValueError):
    """An array that does not fit the parameter it was given for."""


class Signature:
    """What a program expects of its arrays. Raises ProgramError for one that arrays cannot call."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._bound: dict[tuple[tuple[int, ...], ...], tuple[list[int], int]] = {}
        stored = stored_buffers(program)
        self.is_stored = [param in stored for param in program.params]
        sizes = {dim for param in program.params for dim in param.shape}
        for scalar in program.scalars:
            if scalar not in sizes:
                raise ProgramError(program.name, f"{scalar.name} is the size of no array's axis")
        for param in program.params:
            if param.strides is not None:
                raise ProgramError(program.name, f"{param.name}: arrays have no strides of theirs")

    def bind(self, arrays: Sequence[np.ndarray]) -> tuple[list[int], int]:
        """The scalars and the number of tasks for these arrays."""
        params = self.program.params
        if len(arrays) != len(params):
            names = ", ".join(param.name for param in params)
            raise BadArgument(
                f"{self.program.name} takes {len(params)} arrays ({names}), got {len(arrays)}"
            )
        for param, array, is_stored in zip(params, arrays, self.is_stored, strict=True):
            self._check_array(param, array, is_stored)
        self._check_overlaps(arrays)
        shapes = tuple(array.shape for array in arrays)
        if shapes not in self._bound:
            if len(self._bound) >= REMEMBERED:
                self._bound.clear()
            self._bound[shapes] = self._bind_shapes(arrays)
        return self._bound[shapes]

    def _bind_shapes(self, arrays: Sequence[np.ndarray]) -> tuple[list[int], int]:
        sizes: Sizes = {}
        given_by: dict[Var, str] = {}
        for param, array in zip(self.program.params, arrays, strict=True):
            self._bind_symbols(param, array, sizes, given_by)
        for param, array in zip(self.program.params, arrays, strict=True):
            self._check_shape(param, array, sizes, given_by)
        scalars = [sizes[scalar] for scalar in self.program.scalars]
        return scalars, value_of(self.program.tasks, sizes)

    def _fail(self, param: Buffer, why: str) -> None:
        raise BadArgument(f"{self.program.name}: {param.name}: {why}")

    def _check_array(self, param: Buffer, array: np.ndarray, is_stored: bool) -> None:
        if not isinstance(array, np.ndarray):
            self._fail(param, f"expected a NumPy array, got {type(array).__name__}")
        allowed = dtype_names(param.dtype)
        if array.dtype.name not in allowed:
            self._fail(param, f"expected dtype {allowed[0]}, got {array.dtype.name}")
        if array.ndim != len(param.shape):
            self._fail(param, f"expected {len(param.shape)} axes {_shape(param)}, got {array.ndim}")
        if not array.flags.c_contiguous:
            self._fail(param, "expected a C-contiguous array (numpy.ascontiguousarray makes one)")
        if not array.flags.aligned or array.dtype.byteorder == ">":
            self._fail(param, "expected an aligned array of native byte order (copy() makes one)")
        if is_stored and not array.flags.writeable:
            self._fail(param, "expected a writable array: the kernel stores to it")

    def _bind_symbols(
        self, param: Buffer, array: np.ndarray, sizes: Sizes, given_by: dict[Var, str]
    ) -> None:
        for axis, (dim, size) in enumerate(zip(param.shape, array.shape, strict=True)):
            if size < 1:
                self._fail(param, f"axis {axis}: expected a size of at least 1, got {size}")
            if isinstance(dim, Var) and dim not in sizes:
                sizes[dim] = size
                given_by[dim] = f"axis {axis} of {param.name}"

    def _check_shape(
        self, param: Buffer, array: np.ndarray, sizes: Sizes, given_by: dict[Var, str]
    ) -> None:
        for axis, (dim, size) in enumerate(zip(param.shape, array.shape, strict=True)):
            expected = value_of(dim, sizes)
            if size == expected:
                continue
            meant = "" if isinstance(dim, int) else f"{text(dim)} = "
            source = f" ({given_by[dim]})" if isinstance(dim, Var) else ""
            self._fail(param, f"axis {axis}: expected size {meant}{expected}{source}, got {size}")

    def _check_overlaps(self, arrays: Sequence[np.ndarray]) -> None:
        """Generated code takes for granted that what it stores changes no other parameter."""
        params = self.program.params
        for i, (param, array) in enumerate(zip(params, arrays, strict=True)):
            for k in range(i):
                is_stored = self.is_stored[i] or self.is_stored[k]
                if is_stored and np.may_share_memory(array, arrays[k]):
                    self._fail(param, f"shares memory with {params[k].name}: give a copy")


@functools.cache
def dtype_names(dtype: DType) -> tuple[str, ...]:
    """NumPy's names of the dtypes that hold elements of one of ours."""
    return ("bfloat16", "uint16") if dtype.name == "bf16" else (dtype.numpy.name,)


def value_of(dim: int | Expr, sizes: Sizes) -> int:
    """The value of a dim. Raises ProgramError where it is not known from the sizes."""
    if isinstance(dim, int):
        return dim
    values = {var: wrap(size) for var, size in sizes.items()}
    known = simplify_dim(substitute(dim, values))
    if not isinstance(known, int):
        raise ProgramError(text(dim), "the arrays' shapes do not say how much this is")
    return known


def _shape(param: Buffer) -> str:
    return "[" + ", ".join(str(d) if isinstance(d, int) else text(d) for d in param.shape) + "]"
