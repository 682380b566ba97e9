"""Judges cases in a process of its own, so that what kills or hangs it is one finding.

A `Worker` starts its process when it needs one, again after a crash, after a hang (`limit_s` per
case), and every RENEW cases. With the emulated CUDA driver the variable HIDET_CUDA_DRIVER has to be
set before.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import onnx

from .case import Case
from .judge import Verdict, judge

RENEW = 300
LIMIT_S = 120.0
TAIL = 3000
Judge = Callable[[Case], Verdict]
_spawn = multiprocessing.get_context("spawn")


def _serve(connection: Connection, log: str, judged: Judge) -> None:
    """The worker process: cases in, verdicts out, until None comes. Its stderr goes to `log`."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 2)
    faulthandler.enable()
    while (message := connection.recv()) is not None:
        model, rest = message
        connection.send(judged(Case(model=onnx.ModelProto.FromString(model), **rest)))


@dataclass
class Worker:
    """judged: what the process does with a case (a function that can be pickled)."""

    judged: Judge = judge
    limit_s: float = LIMIT_S
    process: BaseProcess | None = None
    connection: Connection | None = None
    served: int = 0
    folder: str = field(default_factory=lambda: tempfile.mkdtemp(prefix="hidet-fuzz-"))

    @property
    def log(self) -> Path:
        return Path(self.folder) / "stderr.txt"

    def run(self, case: Case) -> Verdict:
        """The verdict; "crash" and "hang" where the process gives none."""
        if self.process is None or self.served >= RENEW:
            self._start()
        assert self.process is not None and self.connection is not None, "started"
        self.served += 1
        try:
            self.connection.send(_message(case))
            if self.connection.poll(self.limit_s):
                return self.connection.recv()
            kind, text = "hang", f"no answer for {self.limit_s:.0f} s"
        except (EOFError, OSError):
            self.process.join(10)
            kind, text = "crash", f"the process ended with {self.process.exitcode}"
        self.stop()
        tail = self.log.read_text(errors="replace")[-TAIL:] if self.log.exists() else ""
        return Verdict(kind, f"{text}\n{tail}".strip(), ops=tuple(case.op_types))

    def _start(self) -> None:
        self.stop()
        self.log.unlink(missing_ok=True)
        self.connection, end = _spawn.Pipe()
        arguments = (end, str(self.log), self.judged)
        self.process = _spawn.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        end.close()

    def stop(self) -> None:
        """Ends the process, kindly first."""
        if self.process is None or self.connection is None:
            return
        try:
            self.connection.send(None)
        except OSError:
            pass
        self.process.join(2 if self.process.is_alive() else 0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        self.process, self.connection, self.served = None, None, 0


def _message(case: Case) -> tuple[bytes, dict[str, object]]:
    rest = {name: value for name, value in vars(case).items() if name != "model"}
    return case.model.SerializeToString(), rest
