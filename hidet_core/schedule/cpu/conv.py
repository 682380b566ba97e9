"""Convolution on CPUs: NHWC, direct (no im2col), as a contraction over (r, s, c) with rows = output
pixels.

Activations are read by broadcast straight from the image: out-of-image reads land in the zeroed
halo of the input's storage. Weights are repacked at compile time to panels [group][panel][r, s,
c][NR]. Where a pixel's window row is contiguous in memory the loops over s and c are one loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from hidet_core.base.errors import require
from hidet_core.compute.dims import product, same_dim
from hidet_core.ir.address import strides_of
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Expr, is_const, load, wrap
from hidet_core.ir.widen import narrowed, wide_load, wide_type
from hidet_core.lang import Tensor, build, ceildiv, prefetch
from hidet_core.target.cpu import Cpu

from ..problem import Pack, Problem, Scheduled
from ..template import Template
from ..work import scalars_of
from .contraction import LINE, Contraction, TileConfig, write_contraction
from .depthwise import is_depthwise
from .panels import pack_panels
from .staged import write_staged_contraction
from .tiles import SYMBOLIC_ROWS, ContractionSize, contraction_cost, tile_space


class Conv2d(Template):
    """conv2d with constant weights, any groups (depthwise has a template of its own), strides,
    dilations, pads.
    """

    ops = ("conv2d",)

    def accepts(self, problem: Problem) -> bool:
        plain = problem.constant[1] and wide_type(problem.output.dtype) == f32
        return plain and not is_depthwise(problem)

    def space(self, problem: Problem, target: Cpu) -> Iterator[TileConfig]:
        return tile_space(target)

    def check(self, problem: Problem, config: TileConfig, target: Cpu) -> None:
        config.check(target)
        rows = _rows(problem)
        if isinstance(rows, int):
            require(
                config.mr <= max(rows, 1), f"{config.mr} rows in a tile, the problem has {rows}"
            )

    def cost(self, problem: Problem, config: TileConfig, target: Cpu) -> float:
        return contraction_cost(config, target, conv_size(problem))

    def build(self, problem: Problem, config: TileConfig, target: Cpu) -> Scheduled:
        lanes = target.lanes(4)
        groups, depth, per_group = _sizes(problem)
        width = config.nv * lanes
        panels = ceildiv(per_group, width)
        packed = Buffer("wpack", f32, (groups, panels, depth, width), None, "global", 64)
        x, out = problem.inputs[0], problem.output
        spec = Pixels(problem).contraction(packed)
        with build(problem.name, [x, packed, out], scalars_of(x, out)) as slot:
            if (problem.computed[0] or x.dtype.is_half) and len(spec.k_extents) == 1:
                write_staged_contraction(spec, config, lanes)
            else:
                write_contraction(spec, config, lanes)
        size = conv_size(problem)
        tasks = groups * panels * ceildiv(ceildiv(size.rows, config.mr), config.blocks)
        task_ns = contraction_cost(config, target, size) / max(tasks, 1)
        return Scheduled(slot.program, {1: (packed, _packer(groups, width))}, str(config), task_ns)


class Pixels:
    """Index arithmetic of a convolution: row number -> pixel, k indices -> image element."""

    def __init__(self, problem: Problem) -> None:
        self.x, self.out = problem.inputs[0], problem.output
        self.attrs = problem.attrs
        self.rows_r, self.rows_s, self.depth, channels = (int(d) for d in problem.inputs[1].shape)
        self.groups: int = problem.attrs["groups"]
        self.per_group = channels // self.groups
        strides = strides_of(self.x)
        whole_rows = (
            self.attrs["dilations"][1] == 1
            and same_dim(strides[2], self.depth)
            and same_dim(strides[3], 1)
        )
        self.pointwise = self.rows_r == self.rows_s == 1
        self.merged = self.groups == 1 and whole_rows and self.rows_s > 1

    @property
    def extents(self) -> tuple[int, ...]:
        """Of the loops over a window."""
        if self.pointwise:
            return (self.depth,)
        if self.merged:
            return self.rows_r, self.rows_s * self.depth
        return self.rows_r, self.rows_s, self.depth

    def contraction(self, packed: Buffer) -> Contraction:
        extents = self.extents

        def b(group: Expr, panel: Expr, ks: Sequence[Expr], column: Expr) -> Expr:
            k: Expr = wrap(0)
            for index, extent in zip(ks, extents, strict=True):
                k = k * extent + index
            return load(packed, group, panel, k, column)

        def ahead(group: Expr, panel: Expr, line: Expr) -> None:
            prefetch(Tensor(packed), group, panel, 0, line * LINE)

        rows = product(self.out.shape[:3])
        return Contraction(self.groups, rows, self.per_group, extents, self.a, b, self.store, ahead)

    def pixel(self, row: Expr) -> tuple[Expr, Expr, Expr]:
        """(n, oh, ow) of a row number."""
        images, height, width = (wrap(dim) for dim in self.out.shape[:3])
        if is_const(
            images, 1
        ):  # the last block of rows is not known to end with the image: say that it does
            return wrap(0), row // width, row % width
        return row // (height * width), row // width % height, row % width

    def a(self, group: Expr, row: Expr, ks: Sequence[Expr]) -> Expr:
        n, oh, ow = self.pixel(row)
        (stride_h, stride_w), (top, left, *_) = self.attrs["strides"], self.attrs["pads"]
        if self.pointwise:
            return wide_load(
                self.x, n, oh * stride_h - top, ow * stride_w - left, group * self.depth + ks[0]
            )
        dilation_h, dilation_w = self.attrs["dilations"]
        y = oh * stride_h + ks[0] * dilation_h - top
        if self.merged:  # ks[1] is s*C + c: the window row is contiguous, the address carries
            return wide_load(self.x, n, y, ow * stride_w - left, ks[1])
        z = ow * stride_w + ks[1] * dilation_w - left
        return wide_load(self.x, n, y, z, group * self.depth + ks[2])

    def store(self, group: Expr, row: Expr, column: Expr, value: Expr) -> None:
        n, oh, ow = self.pixel(row)
        at = (n, oh, ow, group * self.per_group + column)
        Tensor(self.out)[at] = narrowed(value, self.out.dtype)


def _rows(problem: Problem) -> int | Expr:
    return product(problem.output.shape[:3])


def _sizes(problem: Problem) -> tuple[int, int, int]:
    """(groups, r*s*c, output channels of a group)."""
    r, s, c, o = (int(d) for d in problem.inputs[1].shape)
    groups = problem.attrs["groups"]
    return groups, r * s * c, o // groups


def conv_size(problem: Problem) -> ContractionSize:
    """For estimates."""
    groups, depth, per_group = _sizes(problem)
    rows = _rows(problem)
    rows = rows if isinstance(rows, int) else SYMBOLIC_ROWS
    # pixels of the image between those that neighbouring windows begin with take up cache too
    (stride_h, stride_w), taps = problem.attrs["strides"], int(problem.inputs[1].shape[0])
    apart = min(stride_h, taps) * stride_w
    a_bytes = 4 * rows * apart * int(problem.inputs[1].shape[2])
    return ContractionSize(groups, rows, per_group, depth, a_bytes)


def _packer(groups: int, width: int) -> Pack:
    """Weights [R, S, C/g, O] -> [g][panel][r, s, c][width]."""

    def pack(weights: np.ndarray) -> np.ndarray:
        depth, columns = math.prod(weights.shape[:3]), weights.shape[3]
        flat = weights.reshape(depth, groups, columns // groups)
        return np.stack([pack_panels(flat[:, group], width) for group in range(groups)])

    return pack
