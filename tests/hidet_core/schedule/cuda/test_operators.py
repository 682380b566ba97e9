"""Every operator that the importer's tests know, as a CUDA kernel on the emulated device; floats
also as float16. A sample of them, or with HIDET_TEST_EVERY=1 all (5 minutes).
"""

import functools
import os

import numpy as np
import pytest

from hidet_core.base.errors import Unsupported
from hidet_core.graph.reference import run_graph
from hidet_core.stages import CompileOptions
from tests.hidet_core.compiled import compare, compiled
from tests.hidet_core.cuda_check import H200
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated
from tests.hidet_core.importer import test_elementwise, test_layout, test_rows, test_windows
from tests.hidet_core.importer.one_node import import_model, one_node_model

EVERY = int(os.environ.get("HIDET_TEST_EVERY", "8"))  # every which case is run
CASES = [
    *test_elementwise.CASES, *test_layout.CASES, *test_layout.RESIZES, *test_rows.PRODUCTS,
    *test_rows.REDUCTIONS, *test_rows.ROWS, *test_windows.CONVS, *test_windows.POOLS,
]  # fmt: skip
TOLERANCE = 5e-5

pytestmark = pytest.mark.skipif(not HAS_COMPILER, reason="g++ is not installed")


def _sample(offset):
    return [pytest.param(case, id=str(case)) for case in CASES[offset % EVERY :: EVERY]]


def _check(case, arrays):
    model = one_node_model(case, arrays)
    _, graph = import_model(model)
    names = {value.name for value in graph.inputs}
    feeds = {f"x{k}": array for k, array in enumerate(arrays) if f"x{k}" in names}
    result = compiled(graph, target=H200, options=CompileOptions(allow_tf32=False))
    found = result.interpret(feeds, functools.partial(run_emulated, seed=1))
    compare(found, run_graph(graph, feeds), TOLERANCE)


@pytest.mark.parametrize("case", _sample(0))
def test_on_the_emulated_device(case):
    _check(case, case.arrays())


@pytest.mark.parametrize("case", _sample(3))
def test_in_half_precision(case):
    arrays = case.arrays()
    singles = [a is not None and a.dtype == np.float32 for a in arrays]
    if not any(singles) or case.op == "BitCast":
        pytest.skip("no floats, or their bits")
    halves = [a.astype(np.float16) if is_single else a
              for a, is_single in zip(arrays, singles, strict=True)]  # fmt: skip
    try:
        _check(case, halves)
    except Unsupported as error:
        pytest.skip(str(error))
