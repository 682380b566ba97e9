"""CPU targets: one frozen row per instruction set.

A `Cpu` says what templates need to choose sizes (vector width, registers, cache sizes) and what
LLVM needs to make code (cpu name and feature string). `probe.host()` fills a row in for this
machine; the rows here are for machines that are not at hand and for tests. Code asks for fields
(`cpu.vector_bytes`), never for names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

KB = 1024
MB = 1024 * KB


@dataclass(frozen=True)
class Cpu:
    """isa: name of the row it derives from. registers: architectural vector registers. Caches are
    per core (l3: shared). fma_per_cycle: multiply-adds of whole vectors. has_vnni: products
    of four bytes at a time, summed in 32 bits (AVX512-VNNI; AVX-VNNI).
    """

    kind: ClassVar[str] = "cpu"
    name: str
    isa: str
    vector_bytes: int
    registers: int
    llvm_cpu: str
    features: str
    l1_bytes: int = 32 * KB
    l2_bytes: int = 512 * KB
    l3_bytes: int = 16 * MB
    cache_line: int = 64
    has_masks: bool = False
    fma_per_cycle: int = 2
    has_vnni: bool = False

    def lanes(self, element_bytes: int) -> int:
        """Elements of that size in one vector register."""
        return self.vector_bytes // element_bytes

    @property
    def toolchain(self) -> str:
        """Who makes machine code for it."""
        return "cpu"

    @property
    def device(self) -> str:
        """What measured times hold for."""
        return self.llvm_cpu

    @property
    def code_key(self) -> str:
        """All of the row that generated machine code depends on."""
        return f"{self.isa}|{self.vector_bytes}|{self.llvm_cpu}|{self.features}|{self.has_vnni}"

    @property
    def flags(self) -> dict[str, str]:
        """What the compiler of this target is told."""
        return {"llvm_cpu": self.llvm_cpu, "features": self.features}


AVX2 = Cpu(
    "avx2",
    isa="avx2",
    vector_bytes=32,
    registers=16,
    llvm_cpu="x86-64-v3",
    features="",
    l2_bytes=256 * KB,
)
AVX512 = Cpu(
    "avx512", isa="avx512", vector_bytes=64, registers=32, llvm_cpu="x86-64-v4",
    features="-prefer-256-bit", l2_bytes=1 * MB, has_masks=True,
)  # fmt: skip
AVX512_VNNI = replace(
    AVX512, name="avx512_vnni", features="-prefer-256-bit,+avx512vnni", has_vnni=True
)
# LLVM's names of CPUs that do one multiply-add of 512 bits a cycle, or two of 256
SINGLE_FMA = frozenset({"znver4", "icelake-client", "tigerlake", "rocketlake"})
CPUS = {cpu.name: cpu for cpu in (AVX2, AVX512, AVX512_VNNI)}
