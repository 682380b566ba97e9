"""The operators of transformers against ONNX Runtime's CPU provider."""

import numpy as np
import pytest

from hidet_core.graph.reference import run_graph
from hidet_core.importer import explain_graph, from_model
from tests.hidet_core.importer.one_node import Case, check, import_model, one_node_model

MICROSOFT = "com.microsoft"
RNG = np.random.default_rng(0)
LOOSE = {"rtol": 1e-4, "atol": 1e-5}


def ints(*values, dtype=np.int32):
    return np.array(values, dtype)


def keeps(*shape):
    """A mask in which no row is empty."""
    mask = RNG.random(shape) < 0.6
    mask[..., 0] = True
    return mask


def ms(op, inputs, attrs=None, **more):
    return Case(op, 17, inputs, attrs or {}, domain=MICROSOFT, **(LOOSE | more))


def normal(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def with_nan(*shape):
    array = normal(*shape)
    array[0, 1, 2] = np.nan
    return array


HEADS = {"q_num_heads": 4, "kv_num_heads": 2}
Q4, K4, V4 = (2, 4, 5, 8), (2, 2, 7, 8), (2, 2, 7, 6)
PAST = [(2, 2, 3, 8), (2, 2, 3, 6)]

ATTENTION = [
    Case("Attention", 23, [Q4, K4, V4], **LOOSE),
    Case("Attention", 23, [(2, 5, 32), (2, 7, 16), (2, 7, 12)], HEADS, **LOOSE),
    Case("Attention", 23, [Q4, K4, V4], {"scale": 0.3, "softcap": 0.8}, **LOOSE),
    Case("Attention", 23, [Q4, K4, V4, keeps(5, 7)], note="bool mask", **LOOSE),
    Case("Attention", 23, [Q4, K4, V4, (2, 1, 5, 7)], note="float mask", **LOOSE),
    Case("Attention", 23, [Q4, K4, V4, keeps(2, 4, 5, 10), *PAST], outputs=3, **LOOSE),
    Case("Attention", 23, [Q4, K4, V4, None, *PAST], {"is_causal": 1}, outputs=3, **LOOSE),
    Case("Attention", 24, [Q4, Q4, Q4, (4, 5, 5)], {"is_causal": 1}, note="mask", **LOOSE),
    Case("Attention", 24, [Q4, K4, V4, (5, 7), None, None, ints(3, 7, dtype=np.int64)],
         {"is_causal": 1}, note="lengths", **LOOSE),
    *(Case("Attention", 23, [Q4, K4, V4, (2, 1, 5, 7), None, None], outputs=4,
           attrs={"qk_matmul_output_mode": mode, "softcap": 2.0}, **LOOSE) for mode in (1, 2, 3)),
    Case("Attention", 23, [(2, 3, 5, 300), (2, 3, 5, 300), (2, 3, 5, 300)], {"is_causal": 1},
         note="wide heads", **LOOSE),
]  # fmt: skip

CACHES = [(20, 4), (20, 4)]
IDS = RNG.integers(0, 20, (2, 5))
X4 = (2, 3, 5, 8)
ROTARY = [
    *(Case("RotaryEmbedding", 23, [X4, *CACHES, IDS], {"interleaved": n}) for n in (0, 1)),
    Case("RotaryEmbedding", 23, [X4, (2, 5, 4), (2, 5, 4)]),
    Case("RotaryEmbedding", 23, [(2, 5, 24), *CACHES, IDS], {"num_heads": 3}),
    *(Case("RotaryEmbedding", 23, [(2, 3, 5, 12), *CACHES, IDS],
           {"rotary_embedding_dim": 8, "interleaved": n, "num_heads": 3}) for n in (0, 1)),
    ms("RotaryEmbedding", [X4, IDS, *CACHES]),
    ms("RotaryEmbedding", [(2, 5, 24), IDS, *CACHES], {"interleaved": 1}),
    ms("RotaryEmbedding", [(2, 5, 24), ints(3, dtype=np.int64), *CACHES]),
    ms("RotaryEmbedding", [(2, 5, 36), IDS, *CACHES], {"num_heads": 3, "rotary_embedding_dim": 8}),
]  # fmt: skip

MERGED = [(2, 5, 12), (12, 72), (72,)]
H3 = {"num_heads": 3}
STORED = (2, 2, 3, 4, 8)
MERGED_ATTENTION = [
    ms("Attention", MERGED, H3),
    ms("Attention", MERGED, H3 | {"scale": 0.2, "unidirectional": 1}),
    ms("Attention", [(2, 5, 12), (12, 60), (60,)], H3 | {"qkv_hidden_sizes": [24, 24, 12]}),
    ms("Attention", [*MERGED, keeps(2, 5).astype(np.int32)], H3, note="raw mask"),
    ms("Attention", [*MERGED, keeps(2, 5, 5).astype(np.int32)], H3, note="mask of pairs"),
    ms("Attention", [*MERGED, ints(3, 5)], H3, note="ends"),
    ms("Attention", [*MERGED, ints(4, 5, 1, 2)], H3, note="ends and starts"),
    ms("Attention", [*MERGED, None, None, (2, 3, 5, 5)], H3, note="bias"),
    ms("Attention", [*MERGED, keeps(2, 5).astype(np.int32), None, (1, 1, 5, 5)],
       H3 | {"mask_filter_value": -3.0}, note="mask and bias"),
    ms("Attention", [*MERGED, None, STORED], H3 | {"unidirectional": 1}, outputs=2, note="past"),
    ms("Attention", [*MERGED, keeps(2, 9).astype(np.int32), STORED], H3, outputs=2, note="past"),
]  # fmt: skip

QKV = [(2, 5, 24), (2, 7, 24), (2, 7, 30)]
KV_PAST = [(2, 3, 4, 8), (2, 3, 4, 8)]
MULTI_HEAD = [
    ms("MultiHeadAttention", QKV, H3),
    ms("MultiHeadAttention", [QKV[0], with_nan(*QKV[1]), QKV[2]], H3, note="nan"),
    ms("MultiHeadAttention", [*QKV, (78,)], H3, note="bias"),
    ms("MultiHeadAttention", [(2, 5, 24), (2, 3, 7, 8), (2, 3, 7, 8)], H3, note="cached keys"),
    ms("MultiHeadAttention", [*QKV, None, keeps(2, 7).astype(np.int32)], H3, note="padding"),
    ms("MultiHeadAttention", [*QKV, None, keeps(2, 5, 7).astype(np.int32)], H3, note="pairs"),
    ms("MultiHeadAttention", [*QKV, None, ints(3, 7)], H3, note="lengths"),
    ms("MultiHeadAttention", [*QKV, None, None, (1, 3, 5, 7)], H3, note="bias of pairs"),
    ms("MultiHeadAttention", [*QKV[:2], QKV[1], None, None, (2, 1, 5, 11), *KV_PAST],
       H3 | {"scale": 0.5}, outputs=3, note="past"),
    ms("MultiHeadAttention", [*[(2, 5, 24)] * 3, (72,), None, None, *KV_PAST],
       H3 | {"unidirectional": 1}, outputs=3, note="past and bias"),
]  # fmt: skip

GROUPED = {"num_heads": 4, "kv_num_heads": 2}
OLD = [(2, 2, 6, 16), (2, 2, 6, 16)]
FIRST = [(2, 5, 64), (2, 5, 32), (2, 5, 32), None, None, ints(4, 4), ints(5)]
NEXT = [(2, 1, 64), (2, 1, 32), (2, 1, 32), *OLD, ints(6, 6), ints(7)]
CHUNK = [(1, 3, 64), (1, 3, 32), (1, 3, 32), *[(1, 2, 6, 16)] * 2, ints(8), ints(9)]
ANGLES = [(16, 8), (16, 8)]
GROUP_QUERY = [
    ms("GroupQueryAttention", FIRST, GROUPED, constants=(6,), outputs=3),
    ms("GroupQueryAttention", [*FIRST, *ANGLES], GROUPED | {"do_rotary": 1}, constants=(6,),
       outputs=3),
    ms("GroupQueryAttention", [(2, 5, 128), None, None, *FIRST[3:], *ANGLES],
       GROUPED | {"do_rotary": 1, "rotary_interleaved": 1}, constants=(6,), outputs=3,
       note="packed"),
    ms("GroupQueryAttention", NEXT, GROUPED, constants=(6,), outputs=3, note="next"),
    ms("GroupQueryAttention", [*NEXT, *ANGLES], GROUPED | {"do_rotary": 1, "scale": 0.2},
       constants=(6,), outputs=3, note="next"),
    ms("GroupQueryAttention", NEXT, GROUPED | {"local_window_size": 3}, constants=(6,), outputs=3),
    ms("GroupQueryAttention", FIRST, GROUPED | {"local_window_size": 2, "softcap": 0.5},
       constants=(6,), outputs=3),
    ms("GroupQueryAttention", [*NEXT, None, None, None, (2, 4, 1, 7)], GROUPED, constants=(6,),
       outputs=3, note="bias"),
    ms("GroupQueryAttention", [*CHUNK, *ANGLES], GROUPED | {"do_rotary": 1}, constants=(6,),
       outputs=3, note="chunk"),
]  # fmt: skip

SMALL = normal(2, 5, 12) * np.float32(1e-4)  # so that the default of epsilon matters
HIDDEN = [(2, 5, 12), (2, 5, 12), (12,)]
WORDS = [RNG.integers(0, 9, (2, 5)).astype(np.int32), RNG.integers(0, 2, (2, 5)).astype(np.int32)]
TABLES = [(9, 12), (6, 12), (2, 12), (12,), (12,)]
AHEAD = ints(*[[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
NORMS = [
    ms("SkipLayerNormalization", [*HIDDEN, (12,)]),
    ms("SkipLayerNormalization", [*HIDDEN, (12,), (12,)], {"epsilon": 1e-3}),
    ms("SkipLayerNormalization", [*HIDDEN, (12,)], outputs=4),
    ms("SkipLayerNormalization", [*HIDDEN], note="no beta"),
    ms("SkipLayerNormalization", [SMALL, SMALL, (12,), (12,)], note="small"),
    ms("SkipLayerNormalization", [(2, 5, 12), (5, 12), (12,), (12,)], note="one skip for all"),
    ms("SkipSimplifiedLayerNormalization", HIDDEN),
    ms("SkipSimplifiedLayerNormalization", [*HIDDEN, (12,)], {"epsilon": 1e-3}),
    ms("EmbedLayerNormalization", [*WORDS, *TABLES, AHEAD], outputs=2),
    ms("EmbedLayerNormalization", [*WORDS, *TABLES, None, ints(*[[4, 3, 2, 1, 0]])], outputs=2),
    ms("EmbedLayerNormalization", [WORDS[0], None, *TABLES[:2], None, *TABLES[3:]], outputs=3),
    Case("RMSNormalization", 23, [(2, 5, 12), (12,)], **LOOSE),
    Case("RMSNormalization", 23, [(2, 5, 12), (5, 12)], {"axis": 1}, **LOOSE),
]

EDGES = [ints(-1, 0), ints(1, 1)]
PRODUCTS = [
    ms("BiasGelu", [(2, 5, 12), (12,)]),
    ms("FastGelu", [(2, 5, 12), (12,)]),
    ms("QuickGelu", [(2, 5, 12)], {"alpha": 1.3}),
    ms("FusedMatMul", [(5, 2, 3, 4), (2, 3, 4, 6)], {"transBatchA": 1}),
    *(
        ms(
            "FusedMatMul",
            [(5, 2, 7) if a else (2, 5, 7), (7, 2, 6) if b else (2, 7, 6)],
            {"transBatchA": a, "transBatchB": b, "alpha": 0.5},
        )
        for a, b in ((1, 0), (0, 1), (1, 1))
    ),
    ms("FusedMatMul", [(7, 2, 5), (6, 2, 7)],
       {"transA": 1, "transB": 1, "transBatchA": 1, "transBatchB": 1}),
]  # fmt: skip

CASES = [*ATTENTION, *ROTARY, *MERGED_ATTENTION, *MULTI_HEAD, *GROUP_QUERY, *NORMS, *PRODUCTS]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_node(case):
    check(case)


def test_packed_heads_are_the_separate_ones():
    """ONNX Runtime's CPU provider has no kernel for packed queries, keys and values."""
    packed = normal(2, 5, 3, 3, 8)
    q, k, v = (np.ascontiguousarray(packed[..., n, :]) for n in range(3))
    flat = [x.reshape(2, 5, 24) for x in (q, k, v)]
    found = [
        _run(ms("MultiHeadAttention", arrays, H3), arrays)
        for arrays in ([packed], [flat[0], np.stack([k, v], 3)], flat)
    ]
    for other in found[:2]:
        np.testing.assert_allclose(other, found[2], 1e-6, 1e-6)


def _run(case, arrays):
    graph, _ = import_model(one_node_model(case, arrays))
    return run_graph(graph, {f"x{k}": array for k, array in enumerate(arrays)})["y0"]


def test_keys_that_are_shared_are_not_repeated():
    graph, _ = import_model(one_node_model(ATTENTION[0], ATTENTION[0].arrays()))
    (found,) = [op for op in graph.operators if op.op.name == "attention"]
    assert found.inputs[1].type.shape == (2, 2, 1, 7, 8)


REFUSED = [
    (ms("GroupQueryAttention", NEXT, GROUPED, note="length at run time"), "not known"),
    (ms("GroupQueryAttention", [*NEXT, *ANGLES, None, None, (4,)], GROUPED, constants=(6,)),
     "head_sink"),
    (ms("Attention", MERGED, H3 | {"do_rotary": 1}), "do_rotary"),
    (ms("Attention", [*MERGED, ints(*range(8))], H3), "a mask of"),
    (ms("RotaryEmbedding", [X4, IDS, *CACHES], {"scale": 2.0}), "scale"),
]  # fmt: skip


@pytest.mark.parametrize("case", [c for c, _ in REFUSED], ids=str)
def test_what_we_cannot_is_refused(case):
    why = dict((str(c), text) for c, text in REFUSED)[str(case)]
    reasons = explain_graph(from_model(one_node_model(case, case.arrays())))
    assert why in reasons[0]
