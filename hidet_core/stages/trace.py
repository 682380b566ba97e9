"""The trace: every stage hands its result through it, to be verified, timed and dumped.

HIDET_DUMP=dir writes dir/<graph>/graph/NN_<pass>.txt and, for each kernel of it,
dir/<graph>/kernel_NNN_<name>/NN_<stage>.txt, with `(unchanged)` where a stage changed nothing, and
times.txt. A stage that fails leaves the text of all before it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hidet_core.base import knobs
from hidet_core.graph.graph import Graph, verify_graph
from hidet_core.ir.node import Node
from hidet_core.ir.printer import text

from .options import CompileOptions

T = TypeVar("T")
Check = Callable[[Any], None]


class Trace:
    """The trace of one folder: of a graph, or (see `kernel`) of one of its kernels."""

    def __init__(self, folder: Path | None, verify: bool) -> None:
        self.folder, self.verify = folder, verify
        self.stages = 0
        self._last: Any = None
        self._since = time.perf_counter()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "times.txt").write_text("")

    @classmethod
    def open(cls, graph: str, options: CompileOptions) -> Trace:
        dump = options.dump_dir or knobs.read("HIDET_DUMP")
        folder = Path(dump) / _file_name(graph) / "graph" if dump else None
        return cls(folder, knobs.read("HIDET_VERIFY"))

    def kernel(self, number: int, name: str) -> Trace:
        """The trace of a kernel of this graph."""
        if self.folder is None:
            return Trace(None, self.verify)
        return Trace(self.folder.parent / _file_name(f"kernel_{number:03}_{name}"), self.verify)

    @property
    def is_dumping(self) -> bool:
        return self.folder is not None

    def __call__(self, stage: str, value: T) -> T:
        """The value itself, after it was verified and dumped."""
        if self.folder is not None:
            self._dump(self.folder, stage, value)
        if self.verify and isinstance(value, Graph):
            verify_graph(value)
        self._last, self._since = value, time.perf_counter()
        return value

    def _dump(self, folder: Path, stage: str, value: Any) -> None:
        took = time.perf_counter() - self._since
        shown = "(unchanged)\n" if value is self._last else _text(value)
        (folder / f"{self.stages:02}_{_file_name(stage)}.txt").write_text(shown)
        with (folder / "times.txt").open("a") as times:
            times.write(f"{1e3 * took:9.2f} ms  {stage}\n")
        self.stages += 1


def _text(value: Any) -> str:
    return text(value) if isinstance(value, Node) else f"{value}\n"


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:80] or "graph"
