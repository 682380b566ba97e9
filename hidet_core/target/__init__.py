"""Device descriptions: rows of data the compiler is parameterised by. Only `probe.py` asks the
machine.
"""

from .cpu import AVX2, AVX512, CPUS, Cpu
from .nvidia import CUDAS, Cuda
from .probe import host

Target = Cpu | Cuda

__all__ = ["AVX2", "AVX512", "CPUS", "CUDAS", "Cpu", "Cuda", "Target", "host"]
