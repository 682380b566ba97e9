"""Repeat one dumped kernel: `repro <folder>` runs its repro.py, which is written with `Repro`."""

from __future__ import annotations

import argparse
import runpy
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from hidet_core import _runtime
from hidet_core.arrays.arguments import value_of
from hidet_core.compute.types import tensor_type
from hidet_core.graph.builder import GraphBuilder
from hidet_core.graph.graph import Graph, Value
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import DType, dtype, i64
from hidet_core.ir.expr import Expr, Var
from hidet_core.pipeline import compile_graph
from hidet_core.stages import CompileOptions

TOLERANCE = 1e-4  # of the largest element, for floats


class Repro:
    """Collects a small graph, then compiles, compares and times it. The command line of the script
    gives the seed, the sizes of symbols, threads and repeats.
    """

    def __init__(self, name: str, target: str = "auto") -> None:
        self.options, self.target = _parser().parse_args(), target
        self.sizes = dict(_size(text) for text in self.options.size)
        self.rng = np.random.default_rng(self.options.seed)
        self.builder = GraphBuilder(name, fold=False)
        self.symbols: dict[Var, int] = {}
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []

    def symbol(self, name: str, size: int) -> Var:
        """A symbolic dim, and the size it has in this run unless --size says another."""
        var = Var(name, i64)
        self.symbols[var] = self.sizes.pop(name, size)
        return var

    def input(self, name: str, kind: str, *dims: int | Expr) -> Value:
        value = self.builder.input(name, tensor_type(dtype(kind), dims))
        self.inputs.append(value)
        return value

    def constant(self, name: str, array: np.ndarray) -> Value:
        return self.builder.constant(array, name)

    def random(self, name: str, kind: str, *shape: int, low: float, high: float) -> Value:
        """A constant of random numbers in a range."""
        return self.builder.constant(self._draw(dtype(kind), shape, low, high), name)

    def emit(self, op: str, /, *inputs: Value, **attrs: Any) -> Value:
        return self.builder.emit(op, *inputs, **attrs)

    def output(self, value: Value) -> None:
        self.outputs.append(value)

    def main(self) -> None:
        """Compile, compare, time. Exits with status 1 where the results differ."""
        if self.sizes:
            sys.exit(f"--size: no symbol {', '.join(self.sizes)}; {_names(self.symbols)}")
        names = [f"out{k}" for k in range(len(self.outputs))]
        graph = self.builder.build(self.inputs, self.outputs, names, list(self.symbols))
        options = CompileOptions(target=self.target, debug=self.options.debug)
        compiled = compile_graph(graph, options)
        executable = _runtime.Executable(compiled.plan, compiled.constants)
        feeds = {value.name: self._array(value) for value in self.inputs}
        agree = self._compare(graph, executable, feeds)
        self._measure(executable, list(feeds.values()))
        if not agree:
            sys.exit(1)

    def _compare(self, graph: Graph, executable: Any, feeds: dict[str, np.ndarray]) -> bool:
        results = executable.run(list(feeds.values()), threads=self.options.threads)
        expected = run_graph(graph, feeds)
        agree = True
        for (name, wanted), got in zip(expected.items(), results, strict=True):
            same, error = compare(got, wanted)
            verdict = "equal" if same else "DIFFERENT"
            print(f"{name}: {got.dtype}{list(got.shape)} {verdict}, largest error {error:.2e}")
            agree &= same
        return agree

    def _measure(self, executable: Any, arrays: list[np.ndarray]) -> None:
        seconds = []
        for _ in range(self.options.repeats):
            start = time.perf_counter()
            executable.run(arrays, threads=self.options.threads)
            seconds.append(time.perf_counter() - start)
        if seconds:
            best, median = 1e6 * min(seconds), 1e6 * statistics.median(seconds)
            print(f"best {best:.1f} us, median {median:.1f} us of {len(seconds)} runs")

    def _array(self, value: Value) -> np.ndarray:
        shape = tuple(value_of(dim, self.symbols) for dim in value.type.shape)
        return self._draw(value.type.dtype, shape, -1.0, 1.0)

    def _draw(self, kind: DType, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
        if kind.is_float:
            return self.rng.uniform(low, high, shape).astype(kind.numpy)
        # of inputs: 0 and 1 are indices of nearly everything
        return self.rng.integers(max(int(low), 0), int(high) + 1, shape).astype(kind.numpy)


def compare(got: np.ndarray, wanted: np.ndarray) -> tuple[bool, float]:
    """Whether they agree, and the largest error relative to the largest element."""
    if got.shape != wanted.shape:
        return False, float("inf")
    if got.dtype.kind != "f":
        error = float(np.count_nonzero(got != wanted))
        return error == 0, error
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite].astype(got.dtype), equal_nan=True):
        return False, float("inf")
    if not finite.any():
        return True, 0.0
    scale = max(float(np.abs(wanted[finite]).max()), 1e-30)
    error = float(np.abs(got[finite].astype(np.float64) - wanted[finite]).max()) / scale
    return error <= TOLERANCE, error


def repro(folder: Path, arguments: list[str]) -> None:
    """Run the repro.py of a dumped kernel."""
    script = folder / "repro.py"
    if not script.is_file():
        sys.exit(f"{folder} is not the dump of a kernel: it has no repro.py")
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name="__main__")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compile one kernel, compare it, time it.")
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs")
    parser.add_argument("--size", action="append", default=[], metavar="n=7", help="of a symbol")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20, help="runs that are timed")
    parser.add_argument("--debug", type=int, default=0, help="as HIDET_DEBUG")
    return parser


def _size(text: str) -> tuple[str, int]:
    name, _, size = text.rpartition("=")
    if not name or not size.isdigit() or int(size) < 1:
        sys.exit(f"--size: expected name=number, got {text!r}")
    return name, int(size)


def _names(symbols: dict[Var, int]) -> str:
    return f"there is {', '.join(var.name for var in symbols) or 'none'}"
