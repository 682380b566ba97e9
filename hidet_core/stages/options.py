"""How to compile: the options of one session."""

from __future__ import annotations

from dataclasses import dataclass

from hidet_core.base.errors import BadOption
from hidet_core.target import TARGETS


@dataclass(frozen=True)
class CompileOptions:
    """target: one of TARGETS; device_id: the ordinal of the GPU.

    cache: keep kernels on disk, in cache_dir (default: the user's).

    winograd: allow Winograd's convolution, which is faster and less exact than direct sums.
    allow_tf32: multiply f32 on the tensor cores of GPUs, which keep 10 bits of the fraction.
    dump_dir, debug: as HIDET_DUMP and HIDET_DEBUG, which hold where these are not given.
    Raises BadOption for another target.
    """

    target: str = "auto"
    device_id: int = 0
    cache: bool = True
    cache_dir: str | None = None
    winograd: bool = True
    allow_tf32: bool = True
    dump_dir: str | None = None
    debug: int = 0

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise BadOption("target", self.target, TARGETS)
