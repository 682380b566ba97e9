"""Values whose bits are those of others, on both targets."""

from hidet_core.ir.dtypes import f32, f64, i8, i16, i32, u8, u16, u64
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
