"""Masks of attention where the batch dims of the scores are reshaped between one mask and the next.

    add(reshape(add(scores, bias)), mask)  ->  the bias in the batch dims of the mask

Swin adds a bias to [batch * windows, heads, n, n] and then a mask to [batch, windows, heads, n, n].
"""

from __future__ import annotations

from hidet_core.compute.dims import Dim, Shape, same_dim, same_shape
from hidet_core.compute.reshaping import segments
from hidet_core.ir.expr import is_const

from .builder import GraphBuilder
from .graph import Value


def in_frame(builder: GraphBuilder, mask: Value, own: Shape, wanted: Shape) -> Value | None:
    """A mask that broadcasts to (*own, n, n), as one that does to (*wanted, n, n), which has the
    same elements in the same order; None where no reshape does that.
    """
    if same_shape(own, wanted):
        return mask
    missing = len(own) + 2 - mask.type.rank
    cut = segments(own, wanted)
    if missing < 0 or cut is None:
        return None
    full = (1,) * missing + mask.type.shape
    target: list[Dim] = []
    for ours, theirs in cut:
        if all(is_const(full[k], 1) for k in ours):
            target += [1] * len(theirs)
        elif all(same_dim(full[k], own[k]) for k in ours):
            target += [wanted[k] for k in theirs]
        else:
            return None
    return builder.reshape(mask, (*target, *full[-2:]))
