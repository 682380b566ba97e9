"""Step "micro": what the device can do, measured by the smallest kernels that show it.

Launch gaps (stream, graph, graph with programmatic edges), the cost of a meeting of all blocks,
copies, bandwidth of HBM and L2, latencies, and the arithmetic peaks. On the emulated device all of
it runs, small, and its times mean nothing.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.gpu import micro_kernels as K
from benchmarks.gpu.driver import CudaError, Device, Memory, noise, per_second
from benchmarks.gpu.step import Output, main
from hidet_core.base.errors import HidetError
from hidet_core.codegen.cuda.wgmma import wgmma_name, wgmma_source

Figures = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """links: kernels of a chain. bytes: HBM: several times the L2. steps: of loops in kernels."""

    links: int = 500
    hbm_bytes: int = 1 << 30
    l2_bytes: int = 16 << 20
    copy_bytes: int = 256 << 20
    steps: int = 4096
    repeats: int = 11


REAL = Sizes()
TINY = Sizes(3, 1 << 14, 1 << 13, 1 << 14, 2, 2)


class Micro:
    """One benchmark per public method; its figures carry their unit in their names."""

    def __init__(self, device: Device, sizes: Sizes) -> None:
        self.device, self.sizes = device, sizes
        self.blocks = 2 if device.is_emulated else device.limits["multiprocessors"]
        self.threads = 32 if device.is_emulated else 256

    # ---- launches ------------------------------------------------------------------------------

    def launch_stream(self) -> Figures:
        """A kernel after a kernel on one stream: on the device, and of the host's time."""
        return {f"{blocks}_blocks": self._stream(blocks) for blocks in (1, self.blocks)}

    def _stream(self, blocks: int) -> Figures:
        chain, links = self._chain(blocks, False), self.sizes.links
        device_ns = self.device.median_ns(chain, self.sizes.repeats)
        host = []
        for _ in range(self.sizes.repeats):
            start = time.perf_counter_ns()
            chain()
            host.append(time.perf_counter_ns() - start)
            self.device.synchronize()
        return {
            "us_per_kernel": device_ns / links / 1e3,
            "host_us_per_launch": statistics.median(host) / links / 1e3,
        }

    def launch_graph(self) -> Figures:
        """The same chain in a CUDA graph."""
        return {f"{blocks}_blocks": self._graph(blocks, False) for blocks in (1, self.blocks)}

    def launch_graph_programmatic(self) -> Figures:
        """The same in a graph whose edges are programmatic: a kernel may begin before the one
        before it ends, and waits for it by griddepcontrol.
        """
        return {f"{blocks}_blocks": self._graph(blocks, True) for blocks in (1, self.blocks)}

    def _graph(self, blocks: int, programmatic: bool) -> Figures:
        with self.device.graph(self._chain(blocks, programmatic)) as replay:
            ns = self.device.median_ns(replay, self.sizes.repeats)
        return {"us_per_kernel": ns / self.sizes.links / 1e3}

    def _chain(self, blocks: int, programmatic: bool) -> Callable[[], None]:
        head = K.prelude("programmatic.h") if programmatic else K.prelude()
        kernel = self.device.kernel(
            head + (K.PROGRAMMATIC_LINK if programmatic else K.LINK), "link"
        )
        kernel.programmatic = programmatic
        threads = 32 if self.device.is_emulated else 128
        x = self.device.upload(noise(blocks * threads * 4))

        def chain() -> None:
            for _ in range(self.sizes.links):
                kernel.launch(blocks, threads, x)

        return chain

    def grid_barrier(self) -> Figures:
        """All blocks wait for each other inside of one kernel."""
        # the emulator runs one block after the other
        blocks = 1 if self.device.is_emulated else self.blocks
        kernel = self.device.kernel(K.prelude() + K.GRID_BARRIER, "meet")
        rounds, counter = self.sizes.links, self.device.upload(np.zeros(1, np.uint32))

        def meet() -> None:
            self.device.call(
                "cuMemsetD32Async", ctypes.c_uint64(counter.address), 0, ctypes.c_size_t(1),
                self.device.stream,
            )  # fmt: skip
            kernel.launch(blocks, self.threads, counter, rounds)

        return {"us": self.device.median_ns(meet, self.sizes.repeats) / rounds / 1e3}

    # ---- memory --------------------------------------------------------------------------------

    def copies(self) -> Figures:
        """cuMemcpyAsync; host memory pageable and pinned; D2D counts bytes read and written."""
        device, size = self.device, self.sizes.copy_bytes
        x, y = device.upload(noise(size)), device.alloc(size)
        pageable = noise(size, seed=1)
        pinned = device.out(ctypes.c_void_p, "cuMemHostAlloc", ctypes.c_size_t(size), 0)
        ctypes.memmove(pinned, pageable.ctypes.data, size)
        found = {}
        try:
            for name, host in (("pinned", pinned.value), ("pageable", pageable.ctypes.data)):
                found[f"h2d_{name}_gb_s"] = self._copy("cuMemcpyHtoDAsync_v2", x.address, host)
                found[f"d2h_{name}_gb_s"] = self._copy("cuMemcpyDtoHAsync_v2", host, x.address)
            found["d2d_gb_s"] = 2 * self._copy("cuMemcpyDtoDAsync_v2", y.address, x.address)
        finally:
            device.synchronize()
            device.call("cuMemFreeHost", pinned)
            device.free(x)
            device.free(y)
        return {**found, "bytes": size}

    def _copy(self, function: str, to: int, source: int) -> float:
        size = self.sizes.copy_bytes
        where = ctypes.c_uint64(to), ctypes.c_uint64(source), ctypes.c_size_t(size)
        ns = self.device.median_ns(
            lambda: self.device.call(function, *where, self.device.stream), self.sizes.repeats
        )
        return per_second(size, ns) / 1e9

    def hbm(self) -> Figures:
        """Reading, and copying (bytes read and written), by blocks per multiprocessor."""
        device, size = self.device, self.sizes.hbm_bytes
        x, y = device.upload(noise(size)), device.alloc(size)
        copy = device.kernel(K.prelude() + K.COPY, "copy")
        found: Figures = {"bytes": size}
        try:
            for each in (1, 2, 4):
                blocks = each * self.blocks
                found[f"read_gb_s_{each}_blocks"] = self._read(x, size, blocks, 1)
                ns = device.median_ns(
                    lambda n=blocks: copy.launch(n, 2 * self.threads, x, y, size // 16),
                    self.sizes.repeats,
                )
                found[f"copy_gb_s_{each}_blocks"] = per_second(2 * size, ns) / 1e9
        finally:
            device.synchronize()
            device.free(x)
            device.free(y)
        return found

    def l2(self) -> Figures:
        """Reading what lies in the L2, again and again inside of one kernel."""
        size, rounds = self.sizes.l2_bytes, 2 if self.device.is_emulated else 64
        x = self.device.upload(noise(size))
        rates = {
            f"read_gb_s_{each}_blocks": self._read(x, size, each * self.blocks, rounds)
            for each in (1, 2, 4)
        }
        return {"bytes": size, **rates}

    def _read(self, x: Memory, size: int, blocks: int, rounds: int) -> float:
        kernel = self.device.kernel(K.prelude() + K.READ, "read")
        threads = 2 * self.threads
        sums = self.device.alloc(blocks * threads * 4)
        ns = self.device.median_ns(
            lambda: kernel.launch(blocks, threads, x, sums, size // 16, rounds), self.sizes.repeats
        )
        return per_second(size * rounds, ns) / 1e9

    def latency(self) -> Figures:
        """One access of one thread, by the memory that its chain of indices spans."""
        spans = {"l1": 16 << 10, "l2": 8 << 20, "hbm": 512 << 20}
        if self.device.is_emulated:
            spans = dict.fromkeys(spans, 1 << 10)
        return {f"{name}_ns": self._chase(size) for name, size in spans.items()}

    def _chase(self, size: int) -> float:
        lines = size // 128
        order = np.random.default_rng(0).permutation(lines).astype(np.int32) * 32
        chain = np.zeros(size // 4, np.int32)
        chain[order] = np.roll(order, -1)
        x, end = self.device.upload(chain), self.device.alloc(4)
        kernel = self.device.kernel(K.prelude() + K.CHASE, "chase")
        # at least twice around where that is quick, so that most accesses hit
        steps = min(8 * self.sizes.steps, max(4 * lines, 2))
        ns = self.device.median_ns(lambda: kernel.launch(1, 1, x, end, steps), self.sizes.repeats)
        self.device.free(x)
        return ns / steps

    # ---- arithmetic ----------------------------------------------------------------------------

    def fma_f32(self) -> Figures:
        """Multiply-adds of f32 outside of the tensor cores."""
        kernel = self.device.kernel(K.prelude() + K.FMA, "fma_peak")
        blocks, threads, steps = 8 * self.blocks, self.threads, self.sizes.steps
        x = self.device.upload(noise(blocks * threads * 4))
        ns = self.device.median_ns(
            lambda: kernel.launch(blocks, threads, x, steps), self.sizes.repeats
        )
        return {"tflop_s": per_second(2 * blocks * threads * steps * K.FMA_CHAINS, ns) / 1e12}

    def mma(self) -> Figures:
        """Products of warps (mma.sync) from registers, on random numbers."""
        blocks, threads, steps = 2 * self.blocks, self.threads, self.sizes.steps
        x = self.device.upload(noise(blocks * threads * 4))
        found = {}
        for kind, depth in K.MMA_DEPTHS.items():
            head = K.prelude("instructions.h")
            kernel = self.device.kernel(head + K.mma_peak(kind), "mma_peak")
            ns = self.device.median_ns(
                lambda kernel=kernel: kernel.launch(blocks, threads, x, steps), self.sizes.repeats
            )
            products = blocks * threads // 32 * steps * K.MMA_CHAINS
            found[f"{kind}_tflop_s"] = per_second(2 * 16 * 8 * depth * products, ns) / 1e12
        return found

    def wgmma(self) -> Figures:
        """Products of warpgroups from shared memory, on random numbers."""
        widths = (64,) if self.device.is_emulated else (64, 128, 256)
        found = {}
        for kind, depth in (("f16", 64), ("bf16", 64), ("tf32", 32)):
            for columns in widths:
                source = (
                    K.prelude("hopper.h")
                    + wgmma_source(kind, columns)
                    + K.wgmma_peak(kind, columns, wgmma_name(kind, columns))
                )
                found[f"{kind}_n{columns}_tflop_s"] = self._wgmma(source, columns, depth)
        return found

    def _wgmma(self, source: str, columns: int, depth: int) -> float:
        groups = 2
        shared = (groups * 64 + columns) * 128 + 1024
        kernel = self.device.kernel(source, "wgmma_peak", shared)
        blocks, steps = self.blocks, self.sizes.steps
        x = self.device.upload(noise(shared))
        out = self.device.alloc(blocks * groups * 128 * 4)
        ns = self.device.median_ns(
            lambda: kernel.launch(blocks, groups * 128, x, out, steps), self.sizes.repeats
        )
        return per_second(2 * blocks * groups * 64 * columns * depth * steps, ns) / 1e12


BENCHMARKS = (
    "launch_stream", "launch_graph", "launch_graph_programmatic", "grid_barrier", "copies", "hbm",
    "l2", "latency", "fma_f32", "mma", "wgmma",
)  # fmt: skip


def run(output: Output, args: argparse.Namespace) -> int:
    """One benchmark that fails does not stop the others."""
    failures = 0
    for number, name in enumerate(BENCHMARKS):
        if output.left <= 0:
            output.note(whole=False, left_out=list(BENCHMARKS[number:]))
            break
        try:
            # a device of its own: a kernel that fails poisons its context
            with Device() as device:
                if number == 0:
                    output.note(device=device.facts(), emulated=device.is_emulated)
                figures = getattr(Micro(device, TINY if args.tiny else REAL), name)()
        except (CudaError, HidetError, OSError, ImportError) as error:
            failures += 1
            figures = {"failure": " ".join(str(error).split())[-500:]}
        print(name, figures, file=sys.stderr, flush=True)
        output.note(**{name: figures})
    return 1 if failures == len(BENCHMARKS) else 0


if __name__ == "__main__":
    sys.exit(main(run))
