"""Values whose bits are those of others, on both targets."""

from hidet_core.ir.dtypes import FLOAT8, f8e5m2, f16, f32, f64, i8, i16, i32, u8, u16, u64
from tests.hidet_core.compiled import Net, check
from tests.hidet_core.cuda_check import check_cuda

PAIRS = [(f32, i32), (i32, f32), (f64, u64), (i8, u8), (u16, i16)]


def test_bit_casts():
    net, results = Net(), []
    for source, to in PAIRS:
        y = net.bit_cast(net.x(3, 37, dtype=source), to=to)
        results.append(net.add(y, y) if to.is_int else y)
    graph = net.done(*results)
    check(graph, interpreted=True)
    check_cuda(graph)


def float8_graph(formats):
    """Encoded, moved, stored, read and decoded by different kernels."""
    net = Net()
    x = net.x(3, 37)
    coded = [net.transpose(net.cast(x, dtype), perm=(1, 0)) for dtype in formats]
    narrow = net.emit("cast", net.x(5, 7, dtype=f16), to=f8e5m2, saturate=False)
    back = [net.cast(net.softmax(net.cast(value, f32)), f16) for value in coded]
    return net.done(*back, net.cast(narrow, i32), *(net.identity(value) for value in coded))


def test_floats_of_8_bits():
    check(float8_graph(FLOAT8), interpreted=True)


def test_floats_of_8_bits_on_gpus():
    check_cuda(float8_graph(FLOAT8[:1]))
