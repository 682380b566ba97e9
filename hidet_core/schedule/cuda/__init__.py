"""CUDA schedule templates, one file each; the order is that in which they are asked."""

from ..template import Template
from .depthwise import Depthwise
from .injective import Injective
from .reduce import ReduceTemplate
from .rows import Rows
from .simt import Simt

TEMPLATES: tuple[Template, ...] = (Depthwise(), Simt(), Rows(), Injective(), ReduceTemplate())

__all__ = ["TEMPLATES"]
