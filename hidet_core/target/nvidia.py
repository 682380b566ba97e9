"""NVIDIA targets: one frozen row per architecture.

A `Cuda` says what templates need to choose sizes (threads, registers, shared memory) and to predict
time (multiprocessors, clock, bandwidth of the device named in the row), and the features that code
may use. Code asks for fields and features (`"wgmma" in cuda.features`), never for names. Limits:
CUDA C++ Programming Guide, compute capabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

KB = 1024
AMPERE = frozenset({"cp_async", "ldmatrix", "mma_f16", "mma_bf16", "mma_tf32", "mma_i8", "mma_u8"})
ADA = AMPERE | {"mma_fp8"}
HOPPER = ADA | {"wgmma", "tma", "mbarrier", "clusters", "launch_dependents"}
BLACKWELL = (HOPPER - {"wgmma"}) | {"tcgen05"}


@dataclass(frozen=True)
class Cuda:
    """arch: NVRTC's name. fma_per_cycle: f32 multiply-adds of one multiprocessor; mma_per_cycle: of
    f16 with sums of f32 on its tensor cores, by mma instructions (half as many of tf32). The last
    row of fields describes `device`, a common device of the architecture.
    """

    kind: ClassVar[str] = "cuda"
    name: str
    arch: str
    threads_per_multiprocessor: int
    blocks_per_multiprocessor: int
    shared_bytes_per_multiprocessor: int
    shared_bytes_per_block: int
    fma_per_cycle: int
    features: frozenset[str]
    device: str
    multiprocessors: int
    clock_ghz: float
    bytes_per_ns: float
    mma_per_cycle: int = 1024
    warp: int = 32
    threads_per_block: int = 1024
    registers_per_thread: int = 255
    registers_per_multiprocessor: int = 64 * KB
    shared_bytes_reserved: int = 1 * KB  # of every block, by the driver
    emulated: bool = False  # runs on the emulated driver: images are made by g++

    @property
    def code_key(self) -> str:
        """All of the row that generated machine code depends on."""
        return f"emulated {self.arch}" if self.emulated else self.arch

    @property
    def toolchain(self) -> str:
        """Who makes machine code for it."""
        return "emulated" if self.emulated else "cuda"

    @property
    def flags(self) -> dict[str, str]:
        """What the compiler of this target is told."""
        return {} if self.emulated else {"arch": self.arch}

    def resident_blocks(self, threads: int, registers: int, shared_bytes: int) -> int:
        """Blocks that one multiprocessor holds at once; registers: per thread. 0 where a block does
        not fit at all.
        """
        warps = -(-threads // self.warp)
        per_warp = -(-registers * self.warp // 256) * 256
        by_registers = self.registers_per_multiprocessor // max(per_warp, 1) // warps
        shared = shared_bytes + self.shared_bytes_reserved
        return min(
            self.blocks_per_multiprocessor,
            self.threads_per_multiprocessor // (warps * self.warp),
            by_registers,
            self.shared_bytes_per_multiprocessor // shared,
        )


SM_80 = Cuda(
    "sm_80", "sm_80", 2048, 32, 164 * KB, 163 * KB, 64, AMPERE, "A100", 108, 1.41, 1555.0
)  # fmt: skip
SM_86 = Cuda(
    "sm_86", "sm_86", 1536, 16, 100 * KB, 99 * KB, 128, AMPERE, "RTX 3090", 82, 1.70, 936.0, 256
)  # fmt: skip
SM_89 = Cuda(
    "sm_89", "sm_89", 1536, 24, 100 * KB, 99 * KB, 128, ADA, "RTX 4090", 128, 2.52, 1008.0, 256
)  # fmt: skip
SM_90A = Cuda(
    "sm_90a", "sm_90a", 2048, 32, 228 * KB, 227 * KB, 128, HOPPER, "H200", 132, 1.83, 4300.0, 1280
)  # fmt: skip
SM_100A = Cuda(
    "sm_100a", "sm_100a", 2048, 32, 228 * KB, 227 * KB, 128, BLACKWELL, "B200", 148, 1.85, 7700.0,
    1280,
)  # fmt: skip
CUDAS = {cuda.name: cuda for cuda in (SM_80, SM_86, SM_89, SM_90A, SM_100A)}
