"""Benchmarks with tensors on the device: nothing is copied while it is timed."""

import numpy as np
import onnx
import pytest

from hidet_ep.bench import Settings, benchmark, binding, parse_provider, runner, text_table
from hidet_ep.bench.binding import DeviceRun, Flush, HostRun
from hidet_ep.bench.providers import open_session
from tests.emulated import Counted
from tests.ep.bench.conftest import tiny_model

QUICK = {"threads": 1, "seconds": 0.01, "min_rounds": 2, "creation": False, "batch": 3}
CPU, HIDET = parse_provider("cpu"), parse_provider("hidet:target=cuda,allow_tf32=0")


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.onnx"
    onnx.save(tiny_model(), path)
    return path


@pytest.fixture
def feeds(rng):
    return {"x": rng.standard_normal((3, 4)).astype(np.float32)}


def test_a_bound_run_gives_what_a_run_on_arrays_gives_without_copies(tiny, feeds):
    session = open_session(tiny, HIDET, 1)
    host = HostRun(session, feeds)
    want = host.outputs()
    bound = DeviceRun(session, feeds, want)
    bound()
    with Counted() as counted:
        bound()
    assert set(counted.copies.values()) == {0} and counted["allocations"] == 0
    assert counted["launches"] > 0
    np.testing.assert_array_equal(bound.outputs()[0], want[0])
    with Counted() as counted:
        host()
    assert counted.copies["copies_to_device"] == counted.copies["copies_to_host"] == 1


@pytest.mark.parametrize("io", ["device", "host"])
def test_a_report_of_the_gpu(tiny, io):
    report = benchmark([str(tiny)], [CPU, HIDET], Settings(io=io, **QUICK), say=lambda line: None)
    _, hidet = report.models[0].results
    assert hidet.failure is None and hidet.claimed == 1.0 and hidet.max_error < 1e-5
    assert text_table(report).startswith(f"emulated: times mean nothing; tensors on the {io}; ")


def test_cold_runs_come_after_a_flush(tiny, monkeypatch):
    made = []

    class Small(Flush):
        def __init__(self, provider):
            super().__init__(provider, floats=256)
            made.append(self)
            self.runs = 0

        def __call__(self):
            with Counted() as counted:
                super().__call__()
            assert counted["launches"] == 1
            self.runs += 1

    monkeypatch.setattr(runner, "Flush", Small)
    report = benchmark([str(tiny)], [CPU, HIDET], Settings(cold=True, **QUICK), say=str)
    (flush,) = made  # the CPU provider has none
    assert flush.runs == report.models[0].results[1].stats.runs > 0
    assert "L2 cold" in text_table(report)
    assert binding.FLUSH_FLOATS * 4 * 2 > 2 * (60 << 20)
