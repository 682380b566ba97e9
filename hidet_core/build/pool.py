"""Compile many kernels at once in worker processes.

llvmlite holds one lock around all of LLVM, and NVRTC one of its own, so threads do not help; and processes made by
`multiprocessing` would import the user's main module again.  So: plain subprocesses that run
`build/worker.py`.  A worker that dies is replaced and its kernel tried once more; where none can be
started, kernels are compiled in this process.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hidet_core.base import knobs
from hidet_core.base.errors import CompilerBug, Rejected
from hidet_core.target import Target

from .llvm import TOOLCHAIN
from .toolchains import TOOLCHAINS, compile_here
from .worker import receive, send

log = logging.getLogger("hidet_core.build")
SECONDS_PER_KERNEL = 300
ATTEMPTS = 2
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Job:
    """A source to compile and where its binary goes."""

    text: str
    target: Target
    result: Future[bytes]


class WorkerDied(Exception):
    """The process ended before it answered; the text is the end of what it printed."""


class CannotStart(Exception):
    """No worker can be started here."""


class Pool:
    """Worker processes, started as they are needed. Use as a context manager, or call close()."""

    def __init__(self, workers: int | None = None) -> None:
        wanted = knobs.read("HIDET_WORKERS") if workers is None else workers
        self.workers = len(os.sched_getaffinity(0)) if wanted < 0 else wanted
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._waiting = 0

    def submit(self, text: str, target: Target) -> Future[bytes]:
        """The binary of a source, later."""
        job = Job(text, target, Future())
        if self.workers == 0:
            _compile_here(job)
            return job.result
        with self._lock:
            self._waiting += 1
            if self._waiting > len(self._threads) and len(self._threads) < self.workers:
                thread = threading.Thread(target=self._serve, name="hidet-compile", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._jobs.put(job)
        return job.result

    def close(self) -> None:
        """Finish what was submitted, then end the workers."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        """One thread per worker process: feeds it, replaces it, gives up on it."""
        worker: Worker | None = None
        while (job := self._jobs.get()) is not None:
            worker = _run(job, worker)
            with self._lock:
                self._waiting -= 1
        if worker is not None:
            worker.close()


def _run(job: Job, worker: Worker | None) -> Worker | None:
    """Do one job; the worker to use for the next one."""
    said = ""
    for _ in range(ATTEMPTS):
        try:
            worker = worker or Worker()
            job.result.set_result(worker.compile(job.text, job.target))
            return worker
        except (CompilerBug, Rejected) as error:
            job.result.set_exception(error)
            return worker
        except WorkerDied as death:
            said, worker = str(death), None
        except CannotStart as error:
            log.warning("kernels are compiled in this process: %s", error)
            _compile_here(job)
            return None
    name = TOOLCHAINS[job.target.toolchain].name
    job.result.set_exception(CompilerBug(name, f"the compiler process died: {said}"))
    return None


def _compile_here(job: Job) -> None:
    try:
        job.result.set_result(compile_here(job.text, job.target))
    except Exception as error:
        job.result.set_exception(error)


class Worker:
    """A process that compiles one kernel at a time."""

    def __init__(self) -> None:
        self._printed = tempfile.TemporaryFile()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        }
        command = [sys.executable, "-P", "-m", "hidet_core.build.worker"]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed,
                env=environment,
            )
        except OSError as error:
            raise CannotStart(f"{command[0]}: {error.strerror}") from None
        greeting = self._receive()
        if greeting is None or greeting[0].get("toolchain") != TOOLCHAIN:
            self.close()
            raise CannotStart(f"{' '.join(command)} does not answer: {self._last_words()}")

    def compile(self, text: str, target: Target) -> bytes:
        """The binary of a source. Raises CompilerBug, Rejected or WorkerDied."""
        watch = threading.Timer(SECONDS_PER_KERNEL, self.process.kill)
        watch.start()
        try:
            request = {"toolchain": target.toolchain, "flags": target.flags}
            send(self.process.stdin, request, text.encode())
            answer = self._receive()
        except OSError:
            answer = None
        finally:
            watch.cancel()
        if answer is None:
            self.close()
            raise WorkerDied(f"exit status {self.process.returncode}; {self._last_words()}")
        header, image = answer
        if header["error"] is None:
            return image
        if header["rejected"]:
            raise Rejected(header["error"])
        raise CompilerBug(TOOLCHAINS[target.toolchain].name, header["error"])

    def close(self) -> None:
        """End the process; it ends by itself when its input does."""
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                stream.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _receive(self) -> tuple[dict[str, Any], bytes] | None:
        try:
            return receive(self.process.stdout)
        except ValueError:  # not a frame
            return None

    def _last_words(self) -> str:
        self._printed.seek(0)
        return self._printed.read()[-500:].decode(errors="replace").strip() or "it printed nothing"
