"""Are two sets of results the same, up to what rounding explains?

First against the CPU provider, tightly. Where that fails (or where it has no kernels: bf16),
against the twin in double precision, within what its noisy copies do; results that are no further
from the twin than the provider's own pass too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .dtypes import KINDS

Outputs = Sequence[np.ndarray]
CLOSE_ULPS = 16.0
NOISE_FACTOR = 4.0
PROVIDER_FACTOR = 3.0
UNITS = {np.dtype(kind.numpy): kind.unit for name, kind in KINDS.items() if name != "bf16"}
# below it a type's numbers lose digits or are flushed to zero
SMALLEST = {np.dtype(np.float16): 2.0**-22, np.dtype(np.float32): 1e-35}


@dataclass(frozen=True)
class Difference:
    """The first output that differs: run, its place, and how."""

    run: int
    output: int
    text: str


def differing(
    mine: Sequence[Outputs], theirs: Sequence[Outputs], test: Callable[..., str]
) -> list[Difference]:
    """Of every run and output for which test(mine, theirs) says something."""
    found = []
    for run, (ours, others) in enumerate(zip(mine, theirs, strict=True)):
        for place, pair in enumerate(zip(ours, others, strict=True)):
            text = test(*pair)
            if text:
                found.append(Difference(run, place, text))
    return found


def same_type(mine: np.ndarray, theirs: np.ndarray) -> str:
    if mine.dtype != theirs.dtype or mine.shape != theirs.shape:
        return f"{mine.dtype}{list(mine.shape)}, expected {theirs.dtype}{list(theirs.shape)}"
    return ""


def close(mine: np.ndarray, theirs: np.ndarray) -> str:
    """Equal, or floats a few ulp apart with NaN and inf in the same places."""
    if mine.dtype.kind != "f":
        wrong = mine != theirs
        return "" if not wrong.any() else describe(mine, theirs, wrong)
    unit = UNITS[mine.dtype]
    a, b = mine.astype(np.float64), theirs.astype(np.float64)
    special = ~np.isfinite(a) | ~np.isfinite(b)
    same = np.where(np.isnan(b), np.isnan(a), a == b)
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= CLOSE_ULPS * unit * np.abs(b) + SMALLEST.get(mine.dtype, 0.0)
    wrong = np.where(special, ~same, ~near)
    return "" if not wrong.any() else describe(mine, theirs, wrong)


@dataclass(frozen=True)
class Judged:
    """An output against the twin. excess: largest error by its tolerance (1 is allowed)."""

    excess: float
    text: str


def against_twin(
    mine: np.ndarray, exact: np.ndarray, noisy: Sequence[np.ndarray], half: float
) -> Judged:
    """half: the unit of the 16-bit type that the case is about, if any, for its casted outputs."""
    a, e = mine.astype(np.float64), exact.astype(np.float64)
    samples = [sample.astype(np.float64) for sample in noisy]
    with np.errstate(invalid="ignore", over="ignore"):
        moved = [np.abs(sample - e) for sample in samples]
    unstable = np.zeros(e.shape, bool)
    spread = np.zeros(e.shape)
    for delta, sample in zip(moved, samples, strict=True):
        unstable |= np.isfinite(sample) != np.isfinite(e)
        spread = np.fmax(spread, np.where(np.isfinite(delta), delta, 0.0))
    unit = max(UNITS.get(mine.dtype, 0.0), half)
    finite = np.where(np.isfinite(spread), spread, 0.0)
    allowed = NOISE_FACTOR * (finite + (np.median(finite) if e.size else 0.0))
    allowed = allowed + 4 * unit * np.abs(e) + SMALLEST.get(mine.dtype, 1e-300)
    if mine.dtype.kind != "f":
        allowed = NOISE_FACTOR * finite + (0.5 if finite.any() else 0.0) * (finite > 0)
    with np.errstate(invalid="ignore"):
        error = np.abs(a - e)
        ratio = np.where(error == 0, 0.0, error / np.maximum(allowed, 1e-300))
    special = ~np.isfinite(a) | ~np.isfinite(e)
    same = np.where(np.isnan(e), np.isnan(a), a == e)
    if mine.dtype == np.float16:  # beyond its range
        same |= np.isinf(a) & (np.abs(e) > 65000) & (np.sign(a) == np.sign(e))
    ratio = np.where(special, np.where(same, 0.0, np.inf), ratio)
    ratio = np.where(unstable, 0.0, ratio)
    worst = float(ratio.max(initial=0.0))
    return Judged(worst, "" if worst <= 1 else describe(mine, exact, ratio > 1, allowed))


def describe(
    mine: np.ndarray, theirs: np.ndarray, wrong: np.ndarray, allowed: np.ndarray | None = None
) -> str:
    """How many elements are wrong, and the first of them."""
    at = tuple(int(k) for k in np.argwhere(wrong)[0]) if wrong.ndim else ()
    text = f"{int(wrong.sum())} of {wrong.size} elements of {mine.dtype}{list(mine.shape)} differ"
    text += f", first at {list(at)}: {mine[at]!s}, expected {theirs[at]!s}"
    return text if allowed is None else f"{text} within {allowed[at]:.3g}"
