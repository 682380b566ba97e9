"""The trace: every stage hands its result through it, to be verified, timed, dumped and told of.

HIDET_DUMP=dir writes dir/<graph>-<hash>/graph/NN_<pass>.txt and, for each kernel of it,
dir/<graph>-<hash>/kernel_NNN_<name>/: NN_<stage>.txt with `(unchanged)` where a stage changed
nothing, source.ll (or .cu), kernel.s, repro.py, times.txt. The hash (of the graph's text) keeps
partitions of one model apart and is the same in the next run, so that HIDET_OVERRIDE=dir finds the
source edited there. Dumping changes no result. A stage that fails leaves the text of all before it
and error.txt, and its error names the folder.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hidet_core.base import knobs
from hidet_core.base.errors import CompilerBug, HidetError
from hidet_core.base.hashing import stable_hash
from hidet_core.graph.graph import Graph, verify_graph
from hidet_core.ir.node import Node
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import Program
from hidet_core.ir.verify import verify

from . import ladder
from .options import CompileOptions

T = TypeVar("T")
log = logging.getLogger("hidet_core.trace")
HASH_DIGITS = 8
SOURCES = {"cpu": "source.ll", "cuda": "source.cu"}  # by kind of target
REPRO = "repro.py"
USER_KERNELS = "user_kernels"


@dataclass(frozen=True)
class Settings:
    """What a trace does with the values: dump and override are folders."""

    dump: Path | None
    override: Path | None
    verify: bool
    debug: int

    @classmethod
    def read(cls, options: CompileOptions) -> Settings:
        """From the options, and from the knobs where these say nothing."""
        dump = options.dump_dir or knobs.read("HIDET_DUMP")
        override = knobs.read("HIDET_OVERRIDE")
        return cls(
            Path(dump) if dump else None,
            Path(override) if override else None,
            knobs.read("HIDET_VERIFY"),
            options.debug or knobs.read("HIDET_DEBUG"),
        )


class Trace:
    """The trace of a graph, or (see `kernel`) of one of its kernels: a folder below the dump's.

    As a context manager it says of errors inside where the dump is.
    """

    def __init__(
        self, path: str, settings: Settings, stages: int = 0, source_name: str = SOURCES["cpu"]
    ) -> None:
        self.path, self.settings, self.source_name = path, settings, source_name
        self.folder = None if settings.dump is None else settings.dump / path
        self.stages = stages
        self.stage = ""  # the last one that came through
        self._last: Any = None
        self._since = time.perf_counter()
        self._clear()

    @classmethod
    def open(cls, graph: Graph, options: CompileOptions, kind: str = "cpu") -> Trace:
        """kind: of the target."""
        path = f"{_unique(graph.name, str(graph))}/graph"
        return cls(path, Settings.read(options), source_name=SOURCES[kind])

    @classmethod
    def user(cls, name: str, content: str) -> Trace:
        """The trace of a user's kernel; content tells kernels of one name apart."""
        path = f"{USER_KERNELS}/{_unique(name, content)}"
        return cls(path, Settings.read(CompileOptions()))

    @classmethod
    def silent(cls, name: str) -> Trace:
        """One that nobody looks at."""
        return cls(name, Settings(None, None, verify=False, debug=0))

    def kernel(self, number: int, name: str) -> Trace:
        """The trace of a kernel of this graph; its file 00 is a note, of the group."""
        model = self.path.rpartition("/")[0]
        path = f"{model}/{_file_name(f'kernel_{number:03}_{name}')}"
        return Trace(path, self.settings, 1, self.source_name)

    @property
    def is_active(self) -> bool:
        """Whether somebody looks at the stages, so that they must run though a cache has their
        result.
        """
        return self.folder is not None or self.settings.debug >= ladder.SOURCE

    def __call__(self, stage: str, value: T, spec: str = "open") -> T:
        """The value itself, after it was dumped and verified; spec: what a program must keep now
        (ir/verify.py).
        """
        self.stage = stage
        took = time.perf_counter() - self._since
        if self.folder is not None:
            changed = value is not self._last
            shown = _text(value) if changed else "(unchanged)\n"
            self._write(f"{self.stages:02}_{_file_name(stage)}.txt", shown)
            self._write("times.txt", f"{1e3 * took:9.2f} ms  {stage}\n", mode="a")
        if self.settings.debug >= ladder.STAGES and value is not self._last:
            ladder.tell(f"{self.path}: {stage}\n{_text(value)}")
        self.stages += 1
        if self.settings.verify:
            _verify(stage, value, spec)
        self._last, self._since = value, time.perf_counter()
        return value

    def override(self) -> str | None:
        """The edited source that replaces the generated one, if there is any."""
        if self.settings.override is None:
            return None
        path = self.settings.override / self.path / self.source_name
        return path.read_text() if path.is_file() else None

    def source(self, source: str) -> str:
        """The source itself, after it was dumped with the command that repeats its kernel."""
        self.stage = "codegen"
        if self.folder is not None:
            comment = ";" if self.source_name == SOURCES["cpu"] else "//"
            repeat = f"{comment} repeat:"
            command = f"{repeat} python -m hidet_core repro {self.folder.absolute()}\n"
            has_repro = (self.folder / REPRO).exists() and not source.startswith(repeat)
            self._write(self.source_name, (command if has_repro else "") + source)
        if self.settings.debug >= ladder.SOURCE:
            ladder.tell(f"{self.path}: source\n{source}")
        return source

    def note(self, name: str, content: str | Callable[[], str]) -> None:
        """A file beside the stages; content is asked for only if it is written."""
        if self.folder is not None:
            self._write(name, content() if callable(content) else content)

    def configs(self, content: Callable[[], str]) -> None:
        """The schedule configs of a kernel, the chosen one and the others."""
        self.note("configs.txt", content)
        if self.settings.debug >= ladder.CONFIGS:
            ladder.tell(f"{self.path}: configs\n{content()}")

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, MemoryError):
            return
        self._write("error.txt", "".join(traceback.format_exception(error)))
        folder = None if self.folder is None else str(self.folder)
        if isinstance(error, CompilerBug) and error.dump_dir is None and folder:
            raise CompilerBug(error.stage, error.why, folder) from error
        if not isinstance(error, HidetError):
            stage = f"the stage after {self.stage!r}" if self.stage else "the first stage"
            raise CompilerBug(stage, f"{type(error).__name__}: {error}", folder) from error

    def _clear(self) -> None:
        """Remove what an earlier run wrote that this one need not write again."""
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for old in (*self.folder.glob("[0-9][0-9]_*.txt"), self.folder / "error.txt"):
                old.unlink(missing_ok=True)
        except OSError as error:
            self._give_up(error)
        self._write("times.txt", "")

    def _write(self, name: str, content: str, mode: str = "w") -> None:
        if self.folder is None:
            return
        try:
            with (self.folder / name).open(mode) as file:
                file.write(content)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """A folder that cannot be written costs the dump, not the session."""
        log.warning("no dump in %s: %s", self.folder, error.strerror)
        self.folder = None


def _verify(stage: str, value: Any, spec: str) -> None:
    match value:
        case Graph():
            verify_graph(value)
        case Program():
            verify(value, spec, stage)


def _text(value: Any) -> str:
    return text(value) if isinstance(value, Node) else f"{value}\n"


def _unique(name: str, content: str) -> str:
    return f"{_file_name(name)}-{stable_hash(content)[:HASH_DIGITS]}"


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:80] or "graph"
