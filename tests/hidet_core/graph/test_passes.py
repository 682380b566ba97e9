"""Each pass: before -> after as text, with equal results; and what it must not touch."""

import numpy as np
import pytest

from hidet_core.compute.types import TensorType
from hidet_core.graph.builder import GraphBuilder
from hidet_core.graph.graph import verify_graph
from hidet_core.graph.passes.canonicalize import canonicalize
from hidet_core.graph.passes.drop_identity import drop_identity
from hidet_core.graph.passes.eliminate_common import eliminate_common
from hidet_core.graph.passes.eliminate_dead import eliminate_dead
from hidet_core.graph.passes.fold_affine import fold_affine
from hidet_core.graph.passes.fold_constants import fold_constants
from hidet_core.graph.passes.fold_pads import fold_pads
from hidet_core.graph.passes.separate_outputs import separate_outputs
from hidet_core.graph.passes.sink_transposes import sink_transposes
from hidet_core.graph.passes.split_concats import split_concats
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import f16, f32, i64

CONV = {"strides": (1, 1), "dilations": (1, 1), "groups": 1}
TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


class Maker(GraphBuilder):
    """A builder that remembers its inputs and does not fold."""

    def __init__(self):
        super().__init__("g", fold=False)
        self.rng = np.random.default_rng(0)
        self.declared = []

    def x(self, *shape, dtype=f32):
        self.declared.append(self.input(f"x{len(self.declared)}", TensorType(dtype, shape)))
        return self.declared[-1]

    def const(self, *shape):
        return self.constant(self.rng.standard_normal(shape).astype(np.float32), "c")

    def done(self, *outputs):
        names = [f"y{k}" for k in range(len(outputs))]
        graph = self.build(self.declared, outputs, names, ())
        verify_graph(graph)
        return graph


def after(one, graph):
    """The operators after a pass that keeps the results, without the constants."""
    changed = one(graph)
    verify_graph(changed)
    assert one(changed) is changed or one is eliminate_common, "a second run changes something"
    rng = np.random.default_rng(1)
    feeds = {v.name: rng.standard_normal(v.type.shape).astype(np.float32) for v in graph.inputs}
    expected, found = run_graph(graph, feeds), run_graph(changed, feeds)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)
    return [op.op.name for op in changed.operators], changed


def test_drop_identity():
    m = Maker()
    x = m.x(2, 3, 4)
    y = m.emit("identity", x)
    y = m.emit("slice", y, starts=(0, 0, 0), steps=(1, 1, 1), sizes=(2, 3, 4))
    y = m.emit("pad", y, before=(0,) * 3, after=(0,) * 3, mode="constant", value=0.0)
    y = m.emit("transpose", m.emit("transpose", y, perm=(1, 2, 0)), perm=(2, 0, 1))
    y = m.emit("reshape", m.emit("reshape", y, shape=(6, 4)), shape=(24,))
    names, graph = after(drop_identity, m.done(m.emit("relu", y)))
    assert names[-2:] == ["reshape", "relu"]
    assert [op.op.name for op in eliminate_dead(graph).operators] == ["reshape", "relu"]


def test_drop_identity_keeps_a_backward_slice():
    m = Maker()
    y = m.emit("slice", m.x(3), starts=(2,), steps=(-1,), sizes=(3,))
    graph = m.done(y)
    assert drop_identity(graph) is graph


def test_fold_constants_makes_views():
    m = Maker()
    weights = m.const(40, 200)
    turned = m.emit("transpose", weights, perm=(1, 0))
    names, graph = after(fold_constants, m.done(m.emit("matmul", m.x(2, 200), turned)))
    assert names == ["matmul"]
    array = graph.constants[graph.operators[0].inputs[1]]
    assert np.shares_memory(array, m.constants[weights])


def test_two_constants_of_the_rank_do_not_both_lose_it():
    m = Maker()
    x = m.emit("gt", m.x(1, 2, 3), m.const(3))
    y = m.emit("where", x, m.const(1, 1, 2, 3), m.const(1, 1, 2, 3))
    graph = canonicalize(m.done(y))
    assert graph.outputs[0].type.shape == (1, 1, 2, 3)


def test_canonical_constants():
    m = Maker()
    x = m.x(1, 2, 2, 3)
    y = m.emit("add", m.const(1, 1, 1, 3), x)
    y = m.emit("sub", y, m.const(3))
    y = m.emit("div", y, m.constant(np.array([2, 4, 8], np.float32)))
    y = m.emit("pow", y, m.constant(np.array(2, np.float32)))
    names, graph = after(canonicalize, m.done(y))
    assert names == ["add", "add", "mul", "mul"]
    assert graph.operators[0].inputs[1].type.shape == (3,)


@pytest.mark.parametrize(("factors", "dtype"), [((1000, 1000), f16), ((1e-5, 1e-4), f16),
                                                ((2, np.inf), f32)])  # fmt: skip
def test_factors_beyond_the_type_are_not_multiplied(factors, dtype):
    m = Maker()
    y = m.x(3, dtype=dtype)
    for factor in factors:
        y = m.emit("mul", y, m.constant(np.array(factor, dtype.numpy)))
    graph = m.done(y)
    assert fold_affine(graph) is graph


def test_division_by_zero_stays():
    m = Maker()
    graph = m.done(m.emit("div", m.x(2), m.constant(np.array([0, 1], np.float32))))
    assert canonicalize(graph) is graph


def test_batch_normalisation_folds_into_weights():
    m = Maker()
    y = m.emit("conv2d", m.x(1, 4, 4, 3), m.const(3, 3, 3, 5), pads=(1, 1, 1, 1), **CONV)
    for op in ("add", "mul", "add", "mul", "add"):
        y = m.emit(op, y, m.const(5))
    _, graph = after(fold_affine, m.done(m.emit("relu", y)))
    live = eliminate_dead(graph)
    assert [op.op.name for op in live.operators] == ["conv2d", "add", "relu"]


def test_affine_chain_without_weights_becomes_one_mul_and_add():
    m = Maker()
    y = m.x(1, 4, 4, 5)
    for op in ("add", "mul", "mul", "add"):
        y = m.emit(op, y, m.const(5))
    graph = eliminate_dead(after(fold_affine, m.done(y))[1])
    assert [op.op.name for op in graph.operators] == ["mul", "add"]


def test_scalars_fold_into_matmul():
    m = Maker()
    y = m.emit("matmul", m.x(2, 3), m.const(3, 4))
    y = m.emit("mul", y, m.constant(np.array(0.5, np.float32)))
    graph = eliminate_dead(after(fold_affine, m.done(y))[1])
    assert [op.op.name for op in graph.operators] == ["matmul"]


def test_values_read_twice_are_not_folded():
    m = Maker()
    y = m.emit("conv2d", m.x(1, 4, 4, 3), m.const(1, 1, 3, 5), pads=(0,) * 4, **CONV)
    z = m.emit("mul", y, m.const(5))
    graph = m.done(m.emit("add", y, z))
    assert fold_affine(graph) is graph


def test_rows_are_not_channels():
    m = Maker()
    y = m.emit("matmul", m.x(4, 3), m.const(3, 4))
    graph = m.done(m.emit("mul", y, m.const(4, 1)))
    assert fold_affine(graph) is graph


@pytest.mark.parametrize("through", [False, True])
def test_pad_folds_into_convolution(through):
    m = Maker()
    sides = ((0, 0, 1, 2), (0, 0, 0, 3)) if through else ((0, 1, 2, 0), (0, 0, 3, 0))
    x = m.x(1, 3, 4, 4) if through else m.x(1, 4, 4, 3)
    y = m.emit("pad", x, before=sides[0], after=sides[1], mode="constant", value=0.0)
    y = m.emit("transpose", y, perm=TO_NHWC) if through else y
    y = m.emit("conv2d", y, m.const(3, 3, 3, 5), pads=(1, 0, 0, 1), **CONV)
    graph = eliminate_dead(after(fold_pads, m.done(y))[1])
    assert [op.op.name for op in graph.operators] == ["transpose"] * through + ["conv2d"]
    assert graph.operators[-1].attrs["pads"] == (2, 2, 0, 4)


def test_padding_with_ones_stays():
    m = Maker()
    y = m.emit("pad", m.x(1, 4, 4, 3), before=(0, 1, 1, 0), after=(0,) * 4, mode="constant",
               value=1.0)  # fmt: skip
    graph = m.done(m.emit("conv2d", y, m.const(3, 3, 3, 5), pads=(0,) * 4, **CONV))
    assert fold_pads(graph) is graph


def test_common_operators_and_constants():
    m = Maker()
    x = m.x(2, 3)
    ones = [m.constant(np.ones(3, np.float32)) for _ in range(2)]
    a, b = (m.emit("add", m.emit("relu", x), one) for one in ones)
    graph = eliminate_dead(after(eliminate_common, m.done(m.emit("mul", a, b)))[1])
    assert [op.op.name for op in graph.operators] == ["relu", "add", "mul"]


def test_different_attributes_are_not_common():
    m = Maker()
    x = m.x(2, 2)
    a, b = (m.emit("reduce", x, op="sum", axes=(k,), keepdims=False) for k in range(2))
    graph = m.done(m.emit("add", a, b))
    assert eliminate_common(graph) is graph


def test_outputs_become_operators_of_their_own():
    m = Maker()
    x = m.x(2)
    y = m.emit("relu", x)
    names, graph = after(separate_outputs, m.done(y, x, y, m.const(2)))
    assert names == ["relu", "identity", "identity", "identity"]
    assert graph.output_names == ("y0", "y1", "y2", "y3")


# sink_transposes


def nchw(m, value):
    return m.emit("transpose", value, perm=TO_NCHW)


def test_transposes_cancel_through_elementwise_and_concat():
    m = Maker()
    a, b = (nchw(m, m.x(1, 4, 5, 3)) for _ in range(2))
    y = m.emit("relu", m.emit("add", a, b))
    y = m.emit("mul", y, m.const(3, 1, 1))
    y = m.emit("concat", y, a, axis=1)
    names, graph = after(sink_transposes, m.done(m.emit("transpose", y, perm=TO_NHWC)))
    assert names == ["add", "relu", "mul", "concat"]
    assert graph.operators[-1].attrs["axis"] == 3


def test_other_operators_take_permuted_attributes():
    m = Maker()
    y = nchw(m, m.x(1, 4, 5, 3))
    y = m.emit("pad", y, before=(0, 1, 2, 0), after=(0,) * 4, mode="edge", value=0.0)
    y = m.emit("slice", y, starts=(0, 0, 1, 0), steps=(1, 1, 2, 1), sizes=(1, 4, 2, 5))
    y = m.emit("upsample", y, scales=(1, 1, 1, 2))
    y = m.emit("tile", y, repeats=(1, 2, 1, 1))
    y = m.emit("gather", y, m.constant(np.array([1, 0, 3])), axis=1)
    y = m.emit("reduce", y, op="max", axes=(2,), keepdims=True)
    y = m.emit("reduce", y, op="mean", axes=(1,), keepdims=False)
    names, _ = after(sink_transposes, m.done(y))
    assert names == ["pad", "slice", "upsample", "tile", "gather", "reduce", "reduce"]


def test_softmax_over_another_axis_gets_its_transpose():
    m = Maker()
    y = m.emit("softmax", nchw(m, m.x(1, 4, 5, 3)))
    assert after(sink_transposes, m.done(y))[0] == ["transpose", "softmax"]
    m = Maker()
    y = m.emit("softmax", m.emit("transpose", m.x(2, 3, 4), perm=(1, 0, 2)))
    assert after(sink_transposes, m.done(y))[0] == ["softmax", "transpose"]


def test_full_sized_operand_decides_the_order():
    m = Maker()
    gate = nchw(m, m.x(2, 1, 1, 3))
    y = m.emit("mul", m.x(2, 3, 4, 5), gate)
    assert after(sink_transposes, m.done(y))[0] == ["reshape", "mul"]


def test_flatten_before_matmul_permutes_the_weights():
    for turned in (False, True):
        m = Maker()
        y = m.emit("reshape", nchw(m, m.x(2, 2, 3, 4)), shape=(2, 24))
        weights = m.const(5, 24) if turned else m.const(24, 5)
        if turned:
            m.constants[weights] = m.constants[weights]
            weights = m.constant(m.constants[weights].T, "turned")
        names, _ = after(sink_transposes, m.done(m.emit("matmul", y, weights)))
        assert names == ["reshape", "matmul"]


def test_flatten_that_is_also_read_elsewhere_is_transposed():
    m = Maker()
    y = m.emit("reshape", nchw(m, m.x(2, 2, 3, 4)), shape=(2, 24))
    names, _ = after(sink_transposes, m.done(m.emit("matmul", y, m.const(24, 5)), y))
    assert names.count("transpose") == 1


def test_channel_shuffle_stays_on_the_last_axis():
    m = Maker()
    y = m.emit("reshape", nchw(m, m.x(2, 4, 5, 6)), shape=(2, 2, 3, 4, 5))
    y = m.emit("reshape", m.emit("transpose", y, perm=(0, 2, 1, 3, 4)), shape=(2, 6, 4, 5))
    names, graph = after(sink_transposes, m.done(m.emit("transpose", y, perm=TO_NHWC)))
    assert names == ["reshape", "transpose", "reshape"]
    assert graph.operators[1].attrs["perm"] == (0, 1, 2, 4, 3)


def test_transposes_of_single_pixels_are_reshapes():
    m = Maker()
    y = nchw(m, m.emit("relu", m.x(2, 1, 1, 6)))
    assert after(sink_transposes, m.done(m.emit("reshape", y, shape=(2, 6))))[0] == [
        "relu", "reshape",
    ]  # fmt: skip


def test_graphs_without_transposes_stay_the_same_object():
    m = Maker()
    graph = m.done(m.emit("relu", m.x(2, 3)))
    assert sink_transposes(graph) is graph
    m = Maker()
    index = m.emit("range", start=0, step=1, size=3, dtype=i64)
    graph = m.done(m.emit("transpose", m.emit("gather", m.x(3, 4), index, axis=0), perm=(1, 0)))
    assert sink_transposes(graph) is graph


def test_elementwise_operators_go_to_the_parts_of_a_concat():
    m = Maker()
    x, y = m.x(2, 3), m.x(2, 4)
    whole = m.emit("concat", x, y, axis=1)
    _, graph = after(split_concats, m.done(m.emit("relu", m.emit("mul", whole, m.const()))))
    left = eliminate_dead(graph).operators
    assert [op.op.name for op in left] == ["mul", "mul", "relu", "relu", "concat"]
    assert left[-1].attrs["axis"] == 1


@pytest.mark.parametrize("reason", ["read twice", "an output", "a vector"])
def test_concats_that_stay_whole(reason):
    m = Maker()
    whole = m.emit("concat", m.x(2, 3), m.x(2, 4), axis=1)
    others = {"read twice": [m.emit("tanh", whole)], "an output": [whole]}.get(reason, [])
    factor = m.const(7) if reason == "a vector" else m.const()
    graph = m.done(m.emit("mul", whole, factor), *others)
    assert split_concats(graph) is graph
