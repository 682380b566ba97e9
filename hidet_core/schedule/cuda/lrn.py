"""Local response normalisation over channels on GPUs: a thread has a vector of channels of a pixel
and reads the vectors around it, so that window sums are of registers.

    out = x / (bias + alpha / size * sum of squares of the window) ** beta
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import exact_div, product, simplify
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr, is_const, wrap
from hidet_core.ir.widen import wide, wide_type
from hidet_core.lang import Tensor, build, ceildiv, let, parallel, register, threads, when
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import find_reduce, instantiate, with_total
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .traffic import ISSUED, LATENCY_CYCLES, LAUNCH_NS, VECTOR_BYTES, in_vector, traffic_ns

THREADS = 128
MAX_WINDOW = 32  # channels; it is written out
ROOT_SLOTS = 60.0  # instructions of a thread for the power of a result


@dataclass(frozen=True)
class LrnConfig(Config):
    """vector: channels of a thread."""

    vector: int


class Lrn(Template):
    """lrn over the last axis."""

    ops = ("lrn",)

    def accepts(self, problem: Problem) -> bool:
        is_small = problem.attrs["size"] <= MAX_WINDOW
        return wide_type(problem.output.dtype) == f32 and is_small

    def space(self, problem: Problem, target: Cuda) -> Iterator[LrnConfig]:
        for vector in (1, 2, 4, 8):
            yield LrnConfig(vector)

    def check(self, problem: Problem, config: LrnConfig, target: Cuda) -> None:
        size = config.vector * problem.output.dtype.bytes
        require(size <= VECTOR_BYTES, f"{size} bytes in a vector, at most {VECTOR_BYTES}")
        whole = is_const(simplify(problem.output.shape[-1] % config.vector), 0)
        require(whole, f"vectors of {config.vector} do not fill the channels")

    def cost(self, problem: Problem, config: LrnConfig, target: Cuda) -> float:
        out, window = problem.output, problem.attrs["size"]
        elements = estimate(tuple(out.shape))
        around = 1 + sum(-(-side // config.vector) for side in _sides(window))
        moved = 2 * elements * out.dtype.bytes
        busy = traffic_ns(moved, elements, target)
        # what neighbours have loaded comes from the nearest cache: it costs instructions
        slots = elements * (ROOT_SLOTS + window + 3 * around * (0.5 + 0.5 / config.vector))
        issue = slots / (ISSUED * target.multiprocessors * target.clock_ghz)
        waves = -(-elements // (config.vector * 1024 * target.multiprocessors))
        return max(busy, LAUNCH_NS + issue) + waves * LATENCY_CYCLES / target.clock_ghz

    def build(self, problem: Problem, config: LrnConfig, target: Cuda) -> Scheduled:
        x, out, vector = problem.inputs[0], problem.output, config.vector
        vectors = exact_div(out.shape[-1], vector)
        assert vectors is not None, "check() saw to it"
        shape = (*out.shape[:-1], vectors)
        count = product(shape)
        with build(problem.name, [x, out], scalars_of(x, out)) as slot:
            for (block,) in parallel(ceildiv(count, THREADS)):
                for thread in threads(THREADS):
                    number = block * THREADS + thread
                    with when(number < wrap(count)):
                        *pixel, place = unravel(number, shape)
                        _write(problem, tuple(pixel), place * vector, vector)
        return Scheduled(slot.program, {}, str(config))


def _sides(window: int) -> tuple[int, int]:
    """Channels of a window before and after its own."""
    before = (window - 1) // 2
    return before, window - 1 - before


def _write(problem: Problem, pixel: tuple[Expr, ...], first: Expr, vector: int) -> None:
    """The results of channels [first, first + vector) of a pixel."""
    x, out, definition = problem.inputs[0], problem.output, problem.definitions[-1]
    left, right = (-(-side // vector) for side in _sides(problem.attrs["size"]))
    squares = register(f32, [(left + 1 + right) * vector], "squares")
    for part in range(-left, right + 1):
        at, place = first + part * vector, (part + left) * vector
        if part:
            for lane in in_vector(vector):
                squares[lane + place] = 0.0
        with when((at >= 0) & (at < wrap(out.shape[-1]))):
            for lane in in_vector(vector):
                element = let("element", wide(Tensor(x)[(*pixel, at + lane)]))
                squares[lane + place] = element * element
    before, _ = _sides(problem.attrs["size"])
    for lane in in_vector(vector):
        index = (*pixel, first + lane)
        total: Expr = squares[lane + (left * vector - before)]
        for offset in range(1, problem.attrs["size"]):
            total = total + squares[lane + (left * vector - before + offset)]
        value = instantiate(definition.value, dict(zip(definition.axes, index, strict=True)), {})
        node = find_reduce(value)
        assert node is not None, "lrn reduces"
        Tensor(out)[index] = with_total(value, node, let("total", total))
