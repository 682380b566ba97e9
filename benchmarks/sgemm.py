#!/usr/bin/env python3
"""The matmul template against the peak of one core, measured in the same run.

usage: benchmarks/sgemm.py [MxNxK ...] [--json FILE]
The peak is a loop of nothing but multiply-adds in registers. Both are run in turns, after the
product was compared with NumPy in float64; the figures are medians.
"""

import argparse
import json
import statistics
from datetime import date
from pathlib import Path

import numpy as np

from hidet_core import CompileOptions, compile_graph, kernel
from hidet_core._runtime import Module, measure
from hidet_core.compute.types import TensorType
from hidet_core.graph.builder import GraphBuilder
from hidet_core.ir.dtypes import f32 as FLOAT
from hidet_core.lang import f32, lanes, parallel, range_, register, repeat, spatial, u8
from hidet_core.plan import BufferKind, deserialize
from hidet_core.target import host
from hidet_ep.bench.machine import describe_machine
from hidet_ep.bench.tables import render_text

PROBLEMS = ["128x768x3072", "3136x64x576"]
CHAINS, STEPS, ROUNDS = 24, 100_000, 41
ALIGNMENT = 64
WIDE = host().lanes(4)
ROWS = CHAINS if host().registers == 32 else CHAINS // 2


@kernel
def multiply_add(sums: f32[ROWS, WIDE], factors: f32[WIDE], steps: u8["n"]):  # noqa: F821
    """Independent chains, so many that a unit never waits for a result."""
    for _ in parallel(1):
        acc = register("f32", [ROWS, WIDE], "acc")
        for i, j in lanes(repeat(ROWS, 1) * spatial(1, WIDE)):
            acc[i, j] = sums[i, j]
        for _step in range_(steps.shape[0]):
            for i, j in lanes(repeat(ROWS, 1) * spatial(1, WIDE)):
                acc[i, j] = acc[i, j] * factors[j] + 1.0
        for i, j in lanes(repeat(ROWS, 1) * spatial(1, WIDE)):
            sums[i, j] = acc[i, j]


def measure_peak() -> float:
    """GFLOP/s of one core, now."""
    arguments = [np.ones((ROWS, WIDE), np.float32), np.full(WIDE, 0.5, np.float32)]
    (seconds,) = multiply_add.measure(*arguments, np.zeros(STEPS, np.uint8), repeats=1)
    return 2e-9 * ROWS * WIDE * STEPS / seconds


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy at an address that kernels may take for granted of constants."""
    memory = np.empty(array.nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class Product:
    """x[m, k] times a constant [k, n], compiled as in a network."""

    def __init__(self, m: int, n: int, k: int) -> None:
        rng = np.random.default_rng(0)
        self.flops = 2 * m * n * k
        weights = rng.standard_normal((k, n)).astype(np.float32)
        self.x = rng.standard_normal((m, k)).astype(np.float32)
        builder = GraphBuilder("sgemm")
        x = builder.input("x", TensorType(FLOAT, (m, k)))
        product = builder.emit("matmul", x, builder.constant(weights))
        graph = builder.build([x], [product], ["product"], [])
        compiled = compile_graph(graph, CompileOptions(cache=False))
        self.config = compiled.report.kernels[0].config
        plan = deserialize(compiled.plan)
        (code,), (launch,) = plan.kernels, plan.launches
        out = np.zeros((m, n), np.float32)
        arrays = {
            BufferKind.INPUT: self.x,
            BufferKind.CONSTANT: aligned(compiled.constants[0]),
            BufferKind.OUTPUT: out,
        }
        self.arrays = [arrays[plan.buffers[arg.buffer].kind] for arg in launch.args]
        self.tasks, self.module = launch.tasks, Module(code.image)
        self.address, self.workspace = self.module.address(code.symbol), code.shared_bytes
        self.measure()
        expected = self.x.astype(np.float64) @ weights
        self.error = float(np.abs(out - expected).max() / np.abs(expected).max())

    def measure(self) -> float:
        """GFLOP/s of one core, now."""
        call = (self.address, self.arrays, [], self.tasks)
        (seconds,) = measure(*call, threads=1, repeats=1, workspace_bytes=self.workspace)
        return 1e-9 * self.flops / seconds


def compare(problem: str) -> dict[str, object]:
    product = Product(*map(int, problem.split("x")))
    turns = [(measure_peak(), product.measure()) for _ in range(ROUNDS)]
    peak, gflops = (statistics.median(side) for side in zip(*turns, strict=True))
    return {
        "problem": problem,
        "config": product.config,
        "gflops": round(gflops, 1),
        "peak": round(peak, 1),
        "share": round(gflops / peak, 3),
        "error": product.error,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("problems", nargs="*", default=PROBLEMS, metavar="MxNxK")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    results = [compare(problem) for problem in args.problems]
    rows = [tuple(map(str, result.values())) for result in results]
    print(render_text(tuple(results[0]), rows))
    if args.json:
        report = {"date": str(date.today()), "machine": describe_machine(), "results": results}
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
