"""Elementwise chains, layout changes, gathers and concats on GPUs: dtypes, sizes and vectors under
three orders of threads.
"""

import numpy as np
import pytest

from hidet_core.codegen.cuda import kernel_text
from hidet_core.ir.dtypes import bf16, boolean, f16, f32, f64, i8, i32, i64, u8
from hidet_core.schedule.cuda.injective import FLAT
from tests.hidet_core.compiled import Net, compiled, lowered
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages

SEEDS = (0, 1, 7)
DTYPES = (f32, f16, bf16, i32, u8)


def _with(**wanted):
    """Picks the first config with these fields; of a kernel that has none, the best."""

    def pick(found):
        fits = (c for c in found if all(getattr(c.config, k) == v for k, v in wanted.items()))
        return next(fits, found[0])

    return pick


def _source(graph, pick):
    result = compiled(graph, pick=pick, target=H200)
    return kernel_text(lowered(result.kernels[-1].program, H200))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1,), (3, 36), (7, 101), (4, 64)], ids=str)
def test_elementwise(shape, dtype):
    net = Net()
    x = net.x(*shape, dtype=dtype)
    graph = net.done(net.where(net.lt(x, net.x(shape[-1], dtype=dtype)), net.add(x, x), x))
    check_cuda(graph, seeds=SEEDS)


@pytest.mark.parametrize("vector", [2, 4, 8])
def test_vectors(vector):
    """Of 16-bit floats, with what is broadcast along the row and what is not."""
    net = Net()
    x, y = net.x(5, 3, 24, dtype=f16), net.x(24, dtype=f16)
    graph = net.done(net.mul(net.add(x, y), net.x(5, 3, 1, dtype=f16)))
    check_cuda(graph, pick=_with(vector=vector, axis=FLAT), seeds=SEEDS)
    assert f"ht_store_aligned<{vector}>" in _source(graph, _with(vector=vector, axis=FLAT))


def test_one_long_row_of_odd_rows():
    """Nothing but whole tensors: the axes do not matter, and vectors run across rows."""
    net = Net()
    graph = net.done(net.add(net.x(8, 7, 33, dtype=f16), net.tanh(net.x(8, 7, 33, dtype=f16))))
    source = _source(graph, _with(vector=8))
    assert source.count("ht_load_aligned<8>") == 2 and "33" not in source
    check_cuda(graph, pick=_with(vector=8), seeds=SEEDS)
    net = Net()
    graph = net.done(net.add(net.x(8, 33), net.x(33)))
    found = []
    compiled(graph, pick=lambda all_: found.extend(all_) or all_[0], target=H200)
    assert all(c.config.vector == 1 for c in found if c.config.axis == FLAT)


@pytest.mark.parametrize("dtype", [*DTYPES, f64, boolean, i64, i8], ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (36, 44), (37, 101), (64, 128)], ids=str)
def test_transposes(shape, dtype):
    net = Net()
    graph = net.done(net.transpose(net.x(2, *shape, dtype=dtype), perm=(0, 2, 1)))
    check_cuda(graph, pick=_with(axis=1), seeds=SEEDS)


@pytest.mark.parametrize(("dtype", "vector"), [(f16, 2), (u8, 4), (i8, 2)], ids=str)
def test_whole_words_through_tiles(dtype, vector):
    net = Net()
    turned = net.transpose(net.x(140, 72, dtype=dtype), perm=(1, 0))
    graph = net.done(net.add(turned, turned), turned)
    pick = _with(axis=0, vector=vector)
    check_cuda(graph, pick=pick, seeds=SEEDS)
    source = _source(graph, pick)
    assert f"ht_load_aligned<{vector}>" in source and f"ht_store_aligned<{vector}>" in source


@pytest.mark.parametrize("dtype", [f32, f16, i64], ids=str)
@pytest.mark.parametrize("columns", [1, 13, 48])
def test_gathers_of_rows(columns, dtype):
    net = Net()
    places = net.constant(np.array([[2, 0, -1], [4, 1, 1]], np.int64), "places")
    graph = net.done(net.gather(net.x(5, columns, dtype=dtype), places, axis=0))
    check_cuda(graph, seeds=SEEDS)


def test_gathers_read_whole_vectors():
    net = Net()
    graph = net.done(net.gather(net.x(50, 64, dtype=f16), net.x(3, 2, dtype=i64), axis=0))
    assert "ht_load_aligned<8>" in _source(graph, _with(vector=8))


@pytest.mark.parametrize("dtype", [f32, f16, u8], ids=str)
@pytest.mark.parametrize("sizes", [(8, 16), (3, 5)], ids=str)
def test_concats(sizes, dtype):
    net = Net()
    parts = [net.add(x, x) for x in (net.x(2, 6, size, dtype=dtype) for size in sizes)]
    check_cuda(net.done(net.concat(*parts, axis=2), net.concat(*parts, parts[0], axis=2)))


@needs_nvrtc
@pytest.mark.parametrize("dtype", [f32, f16, u8], ids=str)
def test_nothing_spills(dtype):
    net = Net()
    x = net.x(256, 512, dtype=dtype)
    graph = net.done(net.transpose(x, perm=(1, 0)), net.add(x, x))
    result = compiled(graph, pick=_with(vector=4 // dtype.bytes, axis=0), target=H200)
    result.kernels += compiled(net.done(net.add(x, x)), pick=_with(vector=4), target=H200).kernels
    for used in usages(result):
        assert used.spill_bytes == used.stack_bytes == 0, used
