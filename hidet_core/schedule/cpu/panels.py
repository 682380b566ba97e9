"""Constant matrices repacked at compile time as the micro-kernel reads them."""

from __future__ import annotations

import numpy as np

from hidet_core.ir.halves import single


def pack_panels(matrix: np.ndarray, width: int) -> np.ndarray:
    """[depth, cols] -> [panel][depth][width] of f32, columns beyond the last filled with zeros."""
    matrix = single(matrix)
    depth, cols = matrix.shape
    whole, rest = divmod(cols, width)
    panels = np.zeros((whole + bool(rest), depth, width), np.float32)
    cut = matrix[:, : whole * width].reshape(depth, whole, width)
    panels[:whole] = cut.transpose(1, 0, 2)
    if rest:
        panels[whole, :, :rest] = matrix[:, whole * width :]
    return panels
