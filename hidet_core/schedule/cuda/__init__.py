"""CUDA schedule templates, one file each; the order is that in which they are asked."""

from ..template import Template
from .injective import Injective
from .matmul import Matmul
from .reduce import ReduceTemplate
from .rows import Rows

TEMPLATES: tuple[Template, ...] = (Matmul(), Rows(), Injective(), ReduceTemplate())

__all__ = ["TEMPLATES"]
