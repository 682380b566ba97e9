"""Contractions on GPUs: matrix multiplication and NHWC convolution seen as one problem.

    out[g, m, n] = sum over k of a(g, m, k) * b(g, k, n)

`contraction(problem, packing)` gives the sizes, the two operands and the output. The lines of `a`
are the rows m, those of `b` the columns n. An element of an operand lies at the sum of a place of
its line and a place of its depth k, so a template computes the places of a thread's lines once,
before the loop over k, and that of k once a step (implicit GEMM: of a convolution m is (image, oh,
ow) and k is (kh, kw, c)):

    reader = view.a.reader(vector)           # elements of one access, at most view.a.vector
    line = reader.line(group, m)             # once; lines beyond the last read the last one again
    depth = reader.depth(k)                  # once a step, k a multiple of vector if along is "k"
    with when(reader.inside(k, block_k)):    # only k has to be looked at, and often not even that
        for (lane,) in lanes(spatial(vector)):
            tile[...] = reader.load(line, depth, lane)

`along` says what lies side by side in memory: elements of a line ("k": a vector is k, k+1, ...),
or neighbouring lines ("line"). Constant weights are packed at compile time where `packing` is
given: [g][k][n] or [g][n][k], zeros up to whole blocks, so that they need no `inside`. Where a
window leaves the image it reads the zeros that lie around it in memory (graph/storage.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hidet_core.compute.dims import Dim, product, simplify
from hidet_core.ir.address import strides_of
from hidet_core.ir.dtypes import DType, boolean
from hidet_core.ir.expr import Buffer, Const, Expr, Load, is_const, minimum, wrap
from hidet_core.lang import Tensor, let

from ..problem import Pack, Problem
from ..work import estimate, unravel

Index = tuple[Expr, ...]
ACCESS_BYTES = 16  # of the widest access
OPS = ("matmul", "conv2d")
SYMBOLIC_ROWS = 256  # what a symbolic number of rows is taken for


@dataclass(frozen=True)
class Packing:
    """Constant weights padded to multiples of block_n columns and block_k depth; along: the axis
    that is contiguous, "line" for [g][k][n], "k" for [g][n][k].
    """

    block_n: int
    block_k: int
    along: str = "line"


@dataclass(frozen=True, eq=False)
class Operand:
    """One factor. lines: m or n; vector: elements that one access can take (a power of two, at most
    16 bytes; aligned as such, if `buffer.alignment` is not 0, unknown).

    An element lies at line_index(group, line) + depth_index(k), axis by axis. is_flat: places may
    be flat offsets, because no prologue has to know the index. is_padded: see Packing.
    """

    buffer: Buffer
    lines: Dim
    depth: Dim
    along: str
    vector: int
    line_index: Callable[[Expr, Expr], Index]
    depth_index: Callable[[Expr], Index]
    is_flat: bool
    is_padded: bool = False
    has_groups: bool = True  # it differs between groups

    @property
    def dtype(self) -> DType:
        return self.buffer.dtype

    def reader(self, vector: int = 1) -> Reader:
        """Accesses of so many elements."""
        assert self.vector % vector == 0, f"vectors of {vector}, at most {self.vector}"
        return Reader(self, vector)


@dataclass(frozen=True, eq=False)
class Reader:
    """Writes the accesses of an operand in vectors. Places are opaque tuples."""

    operand: Operand
    vector: int

    def line(self, group: Expr, line: Expr) -> Index:
        """The place of a line, or of the first of a vector of lines; computed here."""
        operand = self.operand
        if not operand.is_padded:
            size = self.vector if operand.along == "line" else 1
            line = minimum(line, wrap(operand.lines) - size)
        return self._place(operand.line_index(group, line), "line")

    def depth(self, k: Expr) -> Index:
        """The place of a depth, or of the first of a vector of them; computed here."""
        return self._place(self.operand.depth_index(k), "depth")

    def inside(self, k: Expr, block_k: int) -> Expr:
        """Whether depth k exists, given that k is less than depth rounded up to block_k."""
        operand = self.operand
        if operand.is_padded or is_const(simplify(operand.depth % block_k), 0):
            return Const(True, boolean)
        return k < wrap(operand.depth)

    def load(self, line: Index, depth: Index, lane: Expr | int = 0) -> Expr:
        """The element number `lane` of the vector at a place. It must exist (see inside)."""
        buffer = self.operand.buffer
        if self.operand.is_flat:
            offset = (line[0] + depth[0]) * self.vector + lane
            zeros = (wrap(0),) * (len(buffer.shape) - 1)
            return Load(buffer, (*zeros, offset), buffer.dtype)
        *index, last = (a + b for a, b in zip(line, depth, strict=True))
        return Load(buffer, (*index, last + lane), buffer.dtype)

    def _place(self, index: Index, name: str) -> Index:
        """Flat offsets count vectors: what they are multiples of must be plain to see."""
        if not self.operand.is_flat:
            return tuple(let(name, i) for i in index)
        strides = strides_of(self.operand.buffer)[:-1]
        place: Expr = index[-1] // self.vector
        for i, stride in zip(index, strides, strict=False):
            place = place + i * wrap(simplify(stride // self.vector))
        return (let(name, place),)


@dataclass(frozen=True, eq=False)
class Output:
    """Where results go. vector: sums side by side that one access can store."""

    buffer: Buffer
    vector: int
    row_index: Callable[[Expr, Expr], Index]  # (group, m) -> all but the last index
    column: Callable[[Expr], Expr]  # group -> the last index of column 0

    def row(self, group: Expr, m: Expr) -> Index:
        """The place of a row, which must exist. (Simplification joins what is divided here.)"""
        return (*self.row_index(group, m), self.column(group))

    def store(self, row: Index, n: Expr, value: Expr) -> None:
        """Store a sum of the row's column n; value is of the output's dtype."""
        Tensor(self.buffer)[(*row[:-1], row[-1] + n)] = value


@dataclass(frozen=True, eq=False)
class Contraction:
    """groups x [rows, depth] x [depth, cols]. packed: as in Scheduled. a_elements: of a in memory
    (windows overlap: fewer than rows * depth).
    """

    groups: Dim
    rows: Dim
    cols: Dim
    depth: Dim
    a: Operand
    b: Operand
    out: Output
    a_elements: Dim
    packed: dict[int, tuple[Buffer, Pack]] = field(default_factory=dict)

    @property
    def params(self) -> list[Buffer]:
        """Of the program."""
        return [*dict.fromkeys((self.a.buffer, self.b.buffer)), self.out.buffer]

    def sizes(self) -> tuple[int, int, int, int]:
        """(groups, rows, cols, depth) for estimates."""
        rows = self.rows if isinstance(self.rows, int) else SYMBOLIC_ROWS
        return estimate((self.groups,)), rows, estimate((self.cols,)), estimate((self.depth,))


def is_contraction(problem: Problem) -> bool:
    """Whether `contraction` takes it: a matmul or conv2d of floats of at most 4 bytes."""
    out = problem.output.dtype
    if problem.op not in OPS or not out.is_float or out.bytes > 4:
        return False
    padded = problem.op == "conv2d" and any(problem.attrs["pads"])
    return not (padded and problem.computed[0])  # a prologue knows nothing of the zeros around


def contraction(problem: Problem, packing: Packing | None = None) -> Contraction:
    """The view of a problem that `is_contraction`. packing: of constant weights, if there are
    any; without it they are read as they are.
    """
    return _convolution(problem, packing) if problem.op == "conv2d" else _product(problem, packing)


def packs(problem: Problem) -> bool:
    """Whether b is constant and one matrix (one for each group), so that it can be packed."""
    b = problem.inputs[1]
    is_known = problem.constant[1] and not problem.computed[1]
    has_elements = all(isinstance(dim, int) and dim > 0 for dim in b.shape)
    return is_known and has_elements and (problem.op == "conv2d" or _is_one_matrix(b))


def _is_one_matrix(b: Buffer) -> bool:
    return all(is_const(dim, 1) for dim in b.shape[:-2])


def widest(buffer: Buffer, *multiples: Dim) -> int:
    """The widest vector along the last axis: what divides all strides, the given sizes, and the
    alignment of the first element, where that is known.
    """
    strides = strides_of(buffer)
    if not is_const(strides[-1], 1):
        return 1
    vector = min(buffer.alignment or ACCESS_BYTES, ACCESS_BYTES) // buffer.dtype.bytes
    while vector > 1:
        if all(is_const(simplify(dim % vector), 0) for dim in (*strides[:-1], *multiples)):
            return vector
        vector //= 2
    return 1


def _is_flat(problem: Problem, number: int) -> bool:
    contiguous = is_const(strides_of(problem.inputs[number])[-1], 1)
    return contiguous and not problem.computed[number]


# matrix multiplication


def _product(problem: Problem, packing: Packing | None) -> Contraction:
    a, b, out = problem.inputs[0], problem.inputs[1], problem.output
    depth, cols = a.shape[-1], out.shape[-1]
    merged = _is_one_matrix(b)  # all rows of a batch share b: they are one range of rows
    batch = out.shape[:-2]
    groups = 1 if merged else product(batch)
    rows = product(out.shape[:-1]) if merged else out.shape[-2]

    def row_index(group: Expr, m: Expr) -> Index:
        return unravel(m, out.shape[:-1]) if merged else (*unravel(group, batch), m)

    def a_line(group: Expr, m: Expr) -> Index:
        *at, row = row_index(group, m)
        return (*_batch_of(a, at), row, wrap(0))

    def b_line(group: Expr, n: Expr) -> Index:
        return (*_batch_of(b, unravel(group, batch)), wrap(0), n)

    def depth_index(buffer: Buffer, axis: int) -> Callable[[Expr], Index]:
        zeros = [wrap(0)] * (len(buffer.shape) - 1)
        return lambda k: (*zeros, k) if axis == -1 else (*zeros[:-1], k, wrap(0))

    left = Operand(
        a, rows, depth, "k", widest(a, depth), a_line, depth_index(a, -1), _is_flat(problem, 0)
    )  # fmt: skip
    right = Operand(
        b, cols, depth, "line", widest(b, cols), b_line, depth_index(b, -2), _is_flat(problem, 1),
        has_groups=not merged,
    )  # fmt: skip
    store = Output(out, widest(out, cols), row_index, lambda group: wrap(0))
    view = Contraction(groups, rows, cols, depth, left, right, store, product(a.shape))
    return view if packing is None or not packs(problem) else _packed(view, packing, 1)


def _batch_of(buffer: Buffer, batch: Sequence[Expr]) -> list[Expr]:
    """Indices of a buffer's batch dims at a batch index of the output (1 is broadcast)."""
    dims = buffer.shape[:-2]
    offset = len(batch) - len(dims)
    return [wrap(0) if is_const(wrap(dim), 1) else batch[k + offset] for k, dim in enumerate(dims)]


# convolution


def _convolution(problem: Problem, packing: Packing | None) -> Contraction:
    x, w, out = problem.inputs[0], problem.inputs[1], problem.output
    taps = tuple(int(dim) for dim in w.shape[:3])  # type: ignore[arg-type]
    groups: int = problem.attrs["groups"]
    depth, per_group = math.prod(taps), int(w.shape[3]) // groups  # type: ignore[arg-type]
    (stride_h, stride_w), (top, left, *_) = problem.attrs["strides"], problem.attrs["pads"]
    dilation_h, dilation_w = problem.attrs["dilations"]

    def row_index(group: Expr, m: Expr) -> Index:
        return unravel(m, out.shape[:3])

    def x_line(group: Expr, m: Expr) -> Index:
        n, oh, ow = row_index(group, m)
        return n, oh * stride_h - top, ow * stride_w - left, group * taps[2]

    def x_depth(k: Expr) -> Index:
        kh, kw, c = unravel(k, taps)
        return wrap(0), kh * dilation_h, kw * dilation_w, c

    def w_line(group: Expr, n: Expr) -> Index:
        return wrap(0), wrap(0), wrap(0), group * per_group + n

    def w_depth(k: Expr) -> Index:
        return (*unravel(k, taps), wrap(0))

    rows = product(out.shape[:3])
    pixels = Operand(x, rows, depth, "k", widest(x, taps[2]), x_line, x_depth, _is_flat(problem, 0))
    weights = Operand(
        w, per_group, depth, "line", widest(w, per_group), w_line, w_depth, _is_flat(problem, 1)
    )
    store = Output(out, widest(out, per_group), row_index, lambda group: group * per_group)
    view = Contraction(groups, rows, per_group, depth, pixels, weights, store, product(x.shape))
    return view if packing is None or not packs(problem) else _packed(view, packing, groups)


# packed weights


def _packed(view: Contraction, packing: Packing, groups: int) -> Contraction:
    """The view with b packed; groups: the number of matrices."""
    depth, cols = int(view.depth), int(view.cols)  # type: ignore[arg-type]
    sizes = [
        -(-depth // packing.block_k) * packing.block_k,
        -(-cols // packing.block_n) * packing.block_n,
    ]
    if packing.along == "k":
        sizes.reverse()
    dtype = view.b.dtype
    buffer = Buffer("wpack", dtype, (groups, *sizes), None, "global", 64)
    zero = wrap(0)

    def line(group: Expr, n: Expr) -> Index:
        return (group, zero, n) if packing.along == "line" else (group, n, zero)

    def at(k: Expr) -> Index:
        return (zero, k, zero) if packing.along == "line" else (zero, zero, k)

    b = Operand(buffer, cols, depth, packing.along, widest(buffer, sizes[1]), line, at, True, True)
    fields: dict[str, Any] = {**vars(view), "b": b}
    return Contraction(**{**fields, "packed": {1: (buffer, _packer(groups, depth, packing))}})


def _packer(groups: int, depth: int, packing: Packing) -> Pack:
    """Weights [..., depth of each group, groups * cols] as in `Packing`."""

    def pack(weights: np.ndarray) -> np.ndarray:
        parts = weights.reshape(depth, groups, -1).transpose(1, 0, 2)
        rows = -(-depth // packing.block_k) * packing.block_k
        cols = -(-parts.shape[2] // packing.block_n) * packing.block_n
        padded = np.zeros((groups, rows, cols), weights.dtype)
        padded[:, :depth, : parts.shape[2]] = parts
        return padded if packing.along == "line" else np.ascontiguousarray(padded.swapaxes(1, 2))

    return pack
