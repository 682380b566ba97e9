"""Sources to kernels: the cache first, worker processes for what it does not have.

    with Builder(target) as builder:
        later = builder.find(key)                 # a Future, or None
        later = later or builder.compile(key, text)
        image = later.result()                    # cached when it is done
Equal keys are compiled once. The key is `builder.key(...)` of all that the source depends on, such
as a fusion group and a schedule, so that a warm session need not even write the source.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from hidet_core.base.errors import Rejected
from hidet_core.target import Target

from .cache import KernelCache
from .pool import Pool
from .toolchains import TOOLCHAINS

REJECTED = b"rejected: "  # what the cache keeps of a source that the compiler rejected, and why


class Builder:
    """Compiles kernels for one target. Use as a context manager."""

    def __init__(
        self, target: Target, cache: KernelCache | None = None, workers: int | None = None
    ) -> None:
        self.target = target
        self.cache = KernelCache.open() if cache is None else cache
        self.pool = Pool(workers)
        self._running: dict[str, Future[bytes]] = {}

    def key(self, *material: Any) -> str:
        """The key of a kernel for this target that depends on the material. Raises Unsupported
        where the target's compiler is not installed.
        """
        version = TOOLCHAINS[self.target.toolchain].version()
        return self.cache.key(version, self.target.code_key, material)

    def find(self, key: str) -> Future[bytes] | None:
        """The kernel with that key, if it is in the cache or being compiled; or its rejection."""
        running = self._running.get(key)
        if running is not None:
            return running
        image = self.cache.get(key)
        if image is None:
            return None
        done: Future[bytes] = Future()
        if image.startswith(REJECTED):
            done.set_exception(Rejected(image.removeprefix(REJECTED).decode()))
        else:
            done.set_result(image)
        return done

    def compile(self, key: str, text: str) -> Future[bytes]:
        """The binary of a source, compiled now and cached under the key."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = self.pool.submit(text, self.target)
            running.add_done_callback(lambda done: self._keep(key, done))
        return running

    def build(self, text: str) -> Future[bytes]:
        """find, or compile; the text is the key."""
        key = self.key(text)
        return self.find(key) or self.compile(key, text)

    def close(self) -> None:
        """Wait for what is being compiled, then end the workers."""
        self.pool.close()

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, key: str, done: Future[bytes]) -> None:
        error = done.exception()
        if error is None:
            self.cache.put(key, done.result())
        elif isinstance(error, Rejected):
            self.cache.put(key, REJECTED + str(error).encode())
