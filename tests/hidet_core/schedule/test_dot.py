"""Contractions of 8-bit integers on CPUs: exact for every size, sign and row of CPUs."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import f32, i8, u8
from hidet_core.schedule.cpu.dot import DotConv, DotMatmul
from hidet_core.schedule.cpu.words import pack_words
from hidet_core.target import AVX2, AVX512, AVX512_VNNI, host
from tests.hidet_core.compiled import CONV, CPU, Net, check, compiled
from tests.hidet_core.schedule.test_conv import CASES, PADDED

ROWS = {"host": CPU, "avx2": AVX2, "avx512": AVX512, "vnni": AVX512_VNNI}


def runs(cpu):
    here = host()
    return cpu.vector_bytes <= here.vector_bytes and here.has_vnni >= cpu.has_vnni


def weights(net, *shape):
    return net.constant(net.rng.integers(-128, 128, shape).astype(np.int8), "w")


def template_of(graph, target=CPU):
    """The template of the only anchor; which one is chosen must not be left to chance."""
    names = []

    def pick(found):
        names.append(type(found[0].template))
        return found[0]

    compiled(graph, pick, target)
    return names[-1]


def matmul(shape, cols, dtype=u8):
    net = Net()
    return net.done(net.matmul(net.x(*shape, dtype=dtype), weights(net, shape[-1], cols)))


SIZES = [((1, 1), 1), ((5, 3), 17), ((4, 8), 16), ((7, 13), 70), ((2, 3, 9), 5), ((33, 64), 48)]


@pytest.mark.parametrize("dtype", [u8, i8], ids=str)
@pytest.mark.parametrize(("shape", "cols"), SIZES, ids=str)
def test_matmul(shape, cols, dtype):
    graph = matmul(shape, cols, dtype)
    assert template_of(graph) is DotMatmul
    check(graph, interpreted=True)


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_cpus(name):
    if not runs(ROWS[name]):
        pytest.skip(f"this machine is not {name}")
    check(matmul((7, 29), 35, i8), target=ROWS[name])


def test_symbolic_rows():
    check(matmul(("n", 10), 20, i8), {"n": 1}, {"n": 6}, {"n": 37})


def test_nothing_to_multiply():
    check(matmul((0, 4), 3))


def conv(x, weight, dtype, own, **attrs):
    net = Net()
    value = net.x(*x, dtype=dtype)
    if own:
        value = net.maximum(value, value)
    return net.done(net.emit("conv2d", value, weights(net, *weight), **(CONV | attrs)))


@pytest.mark.parametrize("case", CASES)
def test_convolutions(case):
    x, weight, attrs = CASES[case]
    for dtype, own in ((u8, True), (i8, case == "ragged")):
        graph = conv(x, weight, dtype, own, **attrs)
        check(graph, interpreted=own and case in ("ragged", "groups"))


def test_templates_of_convolutions():
    assert template_of(conv((1, 5, 6, 8), (3, 3, 8, 6), u8, True, **PADDED)) is DotConv


@pytest.mark.parametrize("dtype", [u8, i8], ids=str)
def test_around_the_image_is_the_zero_point(dtype):
    check(conv((1, 5, 6, 5), (3, 3, 5, 7), dtype, True, **PADDED, pad_value=7))


def test_depthwise():
    attrs = PADDED | {"groups": 19, "strides": (2, 1)}
    check(conv((2, 7, 5, 19), (3, 3, 1, 19), u8, True, **attrs), interpreted=True)


@pytest.mark.parametrize("depth", [4, 13, 40])
def test_computed_rows_are_staged(depth):
    net = Net()
    scale, zero = net.constant(np.float32(0.1).reshape(())), net.constant(np.int8(-3).reshape(()))
    x = net.quantize(net.x(9, depth, dtype=f32), scale, zero)
    graph = net.done(net.matmul(x, weights(net, depth, 37)))
    (ops,) = check(graph, interpreted=True).ops
    assert ops == ("quantize", "matmul")


def test_epilogue_requantises():
    net = Net()
    scale, zero = net.constant(np.float32(0.013).reshape(())), net.constant(np.uint8(9).reshape(()))
    y = net.matmul(net.x(6, 20, dtype=u8), weights(net, 20, 33))
    y = net.relu(net.add(net.cast(y, f32), net.const(33)))
    (ops,) = check(net.done(net.quantize(y, scale, zero))).ops
    assert ops == ("matmul", "cast", "add", "relu", "quantize")


def test_packing():
    matrix = np.arange(-6, 6, dtype=np.int8).reshape(6, 2)
    packed = pack_words(matrix, 3, 3, True)
    assert packed.shape == (1, 3, 3)
    np.testing.assert_array_equal(packed[0, 0], [-128 * -6, 0, 0])
    first = packed[0, 1].view(np.int8).reshape(3, 4)
    np.testing.assert_array_equal(first[:2], [[-6, -4, -2, 0], [-5, -3, -1, 0]])
    assert not first[2].any()
