"""Depthwise convolution on CPUs: NHWC, lanes along the channels, a register tile of output pixels x
channel vectors.

groups == channels == output channels. The weights [R, S, 1, C] are read as they are; out-of-image
reads land in the zeroed halo of the input's storage. Each weight vector is loaded once per tile of
pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hidet_core.base.errors import require
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr, cast, wrap
from hidet_core.ir.widen import narrowed, wide_type
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    lanes,
    minimum,
    parallel,
    range_,
    register,
    repeat,
    spatial,
    when,
)
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import TYPICAL_DIM, estimate, scalars_of


@dataclass(frozen=True)
class DepthwiseConfig(Config):
    """pixels x nv: output pixels of a row and vectors of channels held in registers."""

    pixels: int
    nv: int


class Depthwise(Template):
    """conv2d with one input and one output channel per group."""

    ops = ("conv2d",)

    def accepts(self, problem: Problem) -> bool:
        dtypes = [buffer.dtype for buffer in problem.inputs]
        is_real = wide_type(problem.output.dtype) == f32
        return is_depthwise(problem) and (is_real or all(dtype.is_byte for dtype in dtypes))

    def space(self, problem: Problem, target: Cpu) -> Iterator[DepthwiseConfig]:
        for nv in (2, 1):
            for pixels in (8, 7, 6, 5, 4, 3, 2, 1):
                yield DepthwiseConfig(pixels, nv)

    def check(self, problem: Problem, config: DepthwiseConfig, target: Cpu) -> None:
        need = config.pixels * config.nv + config.nv + 1
        require(
            need <= target.registers, f"{need} vector registers, the target has {target.registers}"
        )
        width = problem.output.shape[2]
        if isinstance(width, int):
            require(config.pixels <= width, f"{config.pixels} pixels in a tile, a row has {width}")

    def cost(self, problem: Problem, config: DepthwiseConfig, target: Cpu) -> float:
        lanes_wide = target.lanes(4)
        width = problem.output.shape[2] if isinstance(problem.output.shape[2], int) else TYPICAL_DIM
        channels = estimate((problem.output.shape[3],))
        taps = estimate(tuple(problem.inputs[1].shape[:2]))
        blocks = -(-channels // (config.nv * lanes_wide))
        full, rest = divmod(width, config.pixels)
        tile = taps * config.nv * max(config.pixels * 0.5 + 0.5, 4 / config.nv) + 10
        tail = taps * config.nv * max(rest * 0.5 + 0.5, 4 / config.nv) + 10
        return blocks * (full * tile + (tail if rest else 0))

    def build(self, problem: Problem, config: DepthwiseConfig, target: Cpu) -> Scheduled:
        x, w, out = problem.inputs[0], problem.inputs[1], problem.output
        images, height, width, channels = out.shape
        span = config.nv * target.lanes(4)
        tile = _Tile(problem, target.lanes(4), config.nv)
        with build(problem.name, [x, w, out], scalars_of(x, out)) as slot:
            for n, oh, block in parallel(images, height, ceildiv(channels, span)):
                at = (n, oh, block * span)
                full, rest = width // config.pixels, width % config.pixels
                for part in range_(full, "part"):
                    tile.write(at, part * config.pixels, config.pixels, None)
                if isinstance(rest, int) and rest:
                    tile.write(at, wrap(full * config.pixels), rest, None)
                elif not isinstance(rest, int):
                    with when(rest > 0):
                        tile.write(at, full * config.pixels, config.pixels, width)
        task_ns = (
            self.cost(problem, config, target) / max(-(-estimate((channels,)) // span), 1) / 3.5
        )
        return Scheduled(slot.program, {}, str(config), task_ns)


def is_depthwise(problem: Problem) -> bool:
    """Whether each output channel has one input channel of its own."""
    depth, channels = problem.inputs[1].shape[2:]
    return bool(problem.attrs["groups"] == channels and depth == 1)


class _Tile:
    """Writes tiles of output pixels of one row."""

    def __init__(self, problem: Problem, lanes_wide: int, nv: int) -> None:
        self.x, self.w = Tensor(problem.inputs[0]), Tensor(problem.inputs[1])
        self.out, self.attrs = Tensor(problem.output), problem.attrs
        self.lanes_wide, self.nv = lanes_wide, nv

    def write(self, at: tuple[Expr, Expr, Expr], first: Expr, pixels: int, limit: Any) -> None:
        """Pixels [first, first + pixels) of row at[1]; those from `limit` on do not exist."""
        n, oh, channel = at
        (stride_h, stride_w), (top, left, *_) = self.attrs["strides"], self.attrs["pads"]
        dilation_h, dilation_w = self.attrs["dilations"]
        grid = repeat(pixels, self.nv) * spatial(1, self.lanes_wide)
        dtype = wide_type(self.out.dtype)  # of 8-bit integers i32
        acc = register(dtype, [pixels, self.nv * self.lanes_wide], "acc")
        channels = wrap(self.out.shape[3])
        for i, j in lanes(grid):
            acc[i, j] = wrap(0, dtype)
        for r in range_(self.w.shape[0], "r"):
            for s in range_(self.w.shape[1], "s"):
                for i, j in lanes(grid):
                    column = first + i if limit is None else minimum(first + i, limit - 1)
                    y, z = (
                        oh * stride_h + r * dilation_h - top,
                        column * stride_w + s * dilation_w - left,
                    )
                    with when(channel + j < channels):
                        pixel = cast(self.x[n, y, z, channel + j], dtype)
                        weight = cast(self.w[r, s, 0, channel + j], dtype)
                        acc[i, j] = acc[i, j] + pixel * weight
        for i, j in lanes(grid):
            inside = channel + j < channels
            inside = inside if limit is None else inside & (first + i < limit)
            with when(inside):
                value = narrowed(acc[i, j], self.out.dtype)
                self.out[n, oh, first + i, channel + j] = value
