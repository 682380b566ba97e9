"""Device descriptions: rows of data the compiler is parameterised by. Only `probe.py` asks the
machine.
"""

from .cpu import AVX2, AVX512, CPUS, Cpu
from .probe import host

__all__ = ["AVX2", "AVX512", "CPUS", "Cpu", "host"]
