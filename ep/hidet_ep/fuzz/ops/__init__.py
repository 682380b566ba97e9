"""Generators of nodes by family; importing this package fills the table."""

from . import (
    attending,
    cutting,
    elementwise,
    functions,
    idioms,
    layout,
    linear,
    microsoft,
    normalise,
    picking,
    quant,
    recurrent,
    reductions,
    scans,
    spatial,
    upscale,
)
from .table import ROWS, Row, rows

__all__ = [
    "ROWS",
    "Row",
    "attending",
    "cutting",
    "elementwise",
    "functions",
    "idioms",
    "layout",
    "linear",
    "microsoft",
    "normalise",
    "picking",
    "quant",
    "recurrent",
    "reductions",
    "rows",
    "scans",
    "spatial",
    "upscale",
]
