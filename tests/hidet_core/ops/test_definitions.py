"""Properties of operators: scatter maps undo definitions, loads stay inside, types are inferred."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hidet_core.base.errors import CompilerBug, Unsupported
from hidet_core.compute.classify import is_elementwise_in, is_injective
from hidet_core.compute.evaluate import evaluate
from hidet_core.compute.types import TensorType, tensor_type
from hidet_core.ir.dtypes import boolean, f32, i32, i64, u8
from hidet_core.ir.expr import Buffer, Var, wrap
from hidet_core.ops import OPS, find_op
from hidet_core.ops.registry import OpDef, register

N = Var("N")


def run(name, arrays, **attrs):
    """The output of an operator on arrays, and its type."""
    kinds = {np.dtype("f4"): f32, np.dtype("i8"): i64, np.dtype("?"): boolean}
    op = find_op(name)
    types = tuple(TensorType(kinds[a.dtype], a.shape) for a in arrays)
    outputs = op.infer(types, attrs)
    buffers = tuple(Buffer(f"x{k}", t.dtype, t.shape) for k, t in enumerate(types))
    definitions = op.define(buffers, outputs, attrs)
    result = evaluate(definitions, dict(zip(buffers, arrays, strict=True)))
    return result[definitions[-1].out], types, outputs[0]


def check_scatter(name, arrays, **attrs):
    """Each element of each input is found where scatter says it goes."""
    result, types, out = run(name, arrays, **attrs)
    for k, array in enumerate(arrays):
        for index in np.ndindex(*array.shape):
            place = OPS[name].scatter(k, [wrap(i) for i in index], types, out, attrs)
            assert result[tuple(int(e.value) for e in place)] == array[index]


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def counted(shape):
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


@given(SHAPES, st.data())
@settings(max_examples=40)
def test_scatter_of_transpose(shape, data):
    check_scatter(
        "transpose", [counted(shape)], perm=tuple(data.draw(st.permutations(range(len(shape)))))
    )


@given(SHAPES, st.data())
@settings(max_examples=40)
def test_scatter_of_reshape(shape, data):
    left, target = math.prod(shape), []
    while left > 1:
        dim = data.draw(st.sampled_from([d for d in range(2, left + 1) if left % d == 0]))
        target.append(dim)
        left //= dim
    check_scatter("reshape", [counted(shape)], shape=(*target, 1))


@given(SHAPES, st.data())
@settings(max_examples=40)
def test_scatter_of_concat(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    pieces = [counted((*shape[:axis], size, *shape[axis + 1 :])) + 100 * size for size in sizes]
    check_scatter("concat", pieces, axis=axis)


@given(SHAPES, st.data())
@settings(max_examples=40)
def test_scatter_of_roll(shape, data):
    shifts = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    check_scatter("roll", [counted(shape)], shifts=shifts)


ELEMENTWISE = sorted(op.name for op in OPS.values() if op.elementwise)
ATTRS = {"to": i32, "alpha": 0.5, "beta": 0.1, "gamma": 1.2, "lambd": 0.3, "bias": 0.1}
DTYPES = ((f32, f32, f32), (i32, i32, i32), (boolean, boolean, boolean),
          (boolean, f32, f32), (f32, f32, u8), (u8, f32, u8))  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_operators_read_their_operands_in_place(name):
    op, shape = OPS[name], (N, 3)
    for count in (1, 2, 3):
        for kinds in DTYPES:
            types = tuple(TensorType(kind, shape) for kind in kinds[:count])
            buffers = tuple(Buffer(f"x{k}", t.dtype, t.shape) for k, t in enumerate(types))
            try:
                definitions = op.define(buffers, op.infer(types, ATTRS), ATTRS)
            except (TypeError, ValueError, IndexError, Unsupported):
                continue
            assert is_injective(definitions)
            assert all(is_elementwise_in(definitions[-1], buffer) for buffer in buffers)
            return
    pytest.fail(f"{name} could not be defined for any operands")


def test_injective_operators_have_no_reduction():
    x = Buffer("x", f32, (2, 3))
    kind = TensorType(f32, (2, 3))
    attrs = {"perm": (1, 0), "shape": (6,), "axis": 0, "starts": (0, 0), "steps": (1, 1),
             "sizes": (1, 1), "before": (1, 0), "after": (0, 1), "mode": "edge", "value": 0.0,
             "repeats": (2, 1), "scales": (1, 2), "upper": True, "k": 0,
             "shifts": (1, 0)}  # fmt: skip
    names = ("transpose", "reshape", "concat", "slice", "pad", "tile", "upsample", "trilu", "roll")
    for name in names:
        out = OPS[name].infer((kind,), attrs)
        assert OPS[name].kind == "injective"
        assert is_injective(OPS[name].define((x,), out, attrs))


@pytest.mark.parametrize(
    ("name", "types", "attrs", "message"),
    [
        ("add", [(f32, (2, 3)), (f32, (2, 4))], {}, r"\[2, 3\] and \[2, 4\] do not broadcast"),
        ("add", [(f32, (N,)), (f32, (4,))], {}, r"\[N\] and \[4\]"),
        ("add", [(f32, (2,)), (i32, (2,))], {}, "different dtypes f32 and i32"),
        ("matmul", [(f32, (2, 3)), (f32, (4, 5))], {}, r"f32\[2, 3\] and f32\[4, 5\]"),
        ("reshape", [(f32, (2, 3))], {"shape": (4,)}, r"size of \[4\]"),
        ("transpose", [(f32, (2, 3))], {"perm": (0, 0)}, "no permutation"),
        ("broadcast_to", [(f32, (2, 3))], {"shape": (3,)}, "do(es)? not (stretch|broadcast)"),
        ("concat", [(f32, (2, 3)), (f32, (3, 2))], {"axis": 0}, "differ in more than axis 0"),
        ("roll", [(f32, (2, 3))], {"shifts": (2, 0)}, r"shifts \(2, 0\) of f32\[2, 3\]"),
        ("softmax", [(i32, (2,))], {}, "expected floats"),
        ("gather", [(f32, (2,)), (f32, (2,))], {"axis": 0}, "expected integer indices"),
        ("reduce", [(f32, (2,))], {"op": "median"}, "unknown op 'median'"),
    ],
)
def test_types_that_do_not_fit_are_unsupported(name, types, attrs, message):
    with pytest.raises(Unsupported, match=message):
        find_op(name).infer(tuple(TensorType(*t) for t in types), attrs)


def test_symbolic_shapes_are_inferred():
    image = TensorType(f32, (N, N * 2, 8, 3))
    kernel = TensorType(f32, (3, 3, 3, 5))
    attrs = {"strides": (2, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "groups": 1}
    (out,) = OPS["conv2d"].infer((image, kernel), attrs)
    assert str(out) == "f32[N, N, 8, 5]"
    (joined,) = OPS["concat"].infer((image, image), {"axis": 0})
    assert str(tensor_type(f32, joined.shape[:1])) == "f32[N * 2]"
    pooled = TensorType(f32, (N // 2 * 2, 4))
    (beside,) = OPS["concat"].infer((pooled, TensorType(f32, (N, 4))), {"axis": 1})
    assert str(beside) == "f32[N, 8]", "equal in a valid run: the simplest size counts"


def test_the_registry_knows_its_rules():
    with pytest.raises(CompilerBug, match="unknown operator 'convolve'"):
        find_op("convolve")
    relu = OPS["relu"]
    with pytest.raises(CompilerBug, match="registered twice"):
        register(relu)
    with pytest.raises(CompilerBug, match="kind 'fast'"):
        register(OpDef("new", "fast", relu.infer, relu.define))


def test_indices_out_of_range_are_clamped():
    x = np.array([10, 20, 30], np.int64)
    found, _, _ = run("gather", [x, np.array([-5, 7, -1], np.int64)], axis=0)
    np.testing.assert_array_equal(found, [10, 30, 30])


def test_integer_division_by_zero_does_not_trap():
    a, b = np.array([7, -7, -(2**63)], np.int64), np.array([0, 0, -1], np.int64)
    for name in ("div", "mod", "fmod"):
        assert run(name, [a, b])[0].shape == (3,)
