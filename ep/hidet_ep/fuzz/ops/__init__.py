"""Generators of nodes by family; importing this package fills the table."""

from . import (
    cutting,
    elementwise,
    functions,
    idioms,
    layout,
    linear,
    normalise,
    picking,
    reductions,
    spatial,
)
from .table import ROWS, Row, rows

__all__ = [
    "ROWS",
    "Row",
    "cutting",
    "elementwise",
    "functions",
    "idioms",
    "layout",
    "linear",
    "normalise",
    "picking",
    "reductions",
    "rows",
    "spatial",
]
