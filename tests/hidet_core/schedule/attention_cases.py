"""Attention problems for the tests of both targets' templates."""

import numpy as np

from hidet_core.ir.dtypes import boolean, f32

PLAIN = {"scale": 0.4, "causal": False, "fill": 0.0, "zero_nan": False}


def attention(net, *operands, **attrs):
    return net.emit("attention", *operands, **(PLAIN | attrs))


def heads(net, shape, keys=None, columns=None, dtype=f32):
    """q, k, v of [..., rows, width]."""
    *batch, rows, width = shape
    keys = rows if keys is None else keys
    sides = ((rows, width), (keys, width), (keys, columns or width))
    return tuple(net.x(*batch, *side, dtype=dtype) for side in sides)


def _case(shape, keys=None, columns=None, mask=None, **attrs):
    def make(net):
        q, k, v = heads(net, shape, keys, columns)
        masks = [] if mask is None else [net.x(*mask[0], dtype=mask[1])]
        return net.done(attention(net, q, k, v, *masks, **attrs))

    return make


# name: a graph of one attention; sizes are aligned, ragged, prime and tiny
CASES = {
    "tiny": _case((1, 1, 1)),
    "one query": _case((2, 1, 8), keys=37),
    "next token": _case(
        (2, 3, 1, 20), keys=300, columns=11, mask=((2, 1, 1, 300), boolean), fill=float("-inf")
    ),
    "next tokens": _case((2, 3, 8), keys=131, causal=True, left=70, softcap=1.5),
    "one key": _case((2, 5, 8), keys=1),
    "aligned": _case((1, 2, 64, 32)),
    "ragged": _case((2, 3, 19, 8), keys=23),
    "prime": _case((31, 13), keys=41, columns=7),
    "many keys": _case((1, 9, 16), keys=150),
    "causal": _case((2, 37, 8), causal=True),
    "causal over a past": _case((2, 5, 8), keys=70, causal=True),
    "causal with rows that see nothing": _case((1, 9, 8), keys=4, causal=True, zero_nan=True),
    "soft cap": _case((2, 9, 8), keys=13, softcap=0.7, mask=((9, 13), f32)),
    "window": _case((2, 37, 8), causal=True, left=5),
    "window over a past": _case((2, 5, 8), keys=150, causal=True, left=20),
    "window to the left only": _case((19, 8), keys=23, left=3, zero_nan=True),
    "added": _case((2, 3, 17, 8), mask=((2, 1, 17, 17), f32)),
    "padding": _case((2, 3, 17, 8), mask=((2, 1, 1, 17), f32)),
    "one number for all": _case((2, 5, 8), mask=((), f32)),
    "one number for a head": _case((2, 5, 8), mask=((2, 1, 1), f32)),
    "one for each query": _case((2, 5, 8), keys=7, mask=((5, 1), boolean), fill=-1.0),
    "one mask for all": _case((2, 3, 17, 8), mask=((17,), f32), causal=True),
    "kept": _case((2, 3, 17, 8), keys=21, mask=((2, 1, 1, 21), boolean), fill=-1e9),
    "kept pairs": _case((3, 17, 8), mask=((17, 17), boolean), fill=float("-inf"), zero_nan=True),
}


def grouped(net):
    """Two heads of queries for each head of keys; one batch of keys for both batches."""
    q, k, v = net.x(2, 4, 9, 8), net.x(1, 2, 11, 8), net.x(1, 2, 11, 8)
    k, v = (
        net.reshape(
            net.broadcast_to(net.reshape(t, (1, 2, 1, 11, 8)), (1, 2, 2, 11, 8)), (1, 4, 11, 8)
        )
        for t in (k, v)
    )
    return net.done(attention(net, q, k, v))


def merged(net, batch="b", sequence="s"):
    """Queries, keys and values from one buffer, the result in [batch, sequence, hidden]."""
    x = net.x(batch, sequence, 3 * 24)
    rows = x.type.shape[:2]
    parts = []
    for place in range(3):
        cut = net.slice(x, starts=(0, 0, 24 * place), steps=(1, 1, 1), sizes=(*rows, 24))
        cut = net.add(net.reshape(cut, (*rows, 3, 8)), net.const(3, 8))
        parts.append(net.transpose(cut, perm=(0, 2, 1, 3)))
    mixed = net.transpose(attention(net, *parts, causal=True), perm=(0, 2, 1, 3))
    return net.done(net.reshape(mixed, (*rows, 24)))


def infinite_padding():
    """0 for some first keys of each row, -inf behind; one row sees none."""
    return np.where(np.arange(17) < np.array([9, 0])[:, None], 0, -np.inf).reshape(2, 1, 1, 17)
