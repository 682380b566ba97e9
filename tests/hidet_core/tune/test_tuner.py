"""Tuning of small graphs: records, tables, and what compiling makes of them."""

import json

import numpy as np
import pytest

from hidet_core._runtime import Executable
from hidet_core.base.errors import BadOption, Unsupported
from hidet_core.graph.reference import run_graph
from hidet_core.pipeline import compile_graph
from hidet_core.schedule import tuned
from hidet_core.stages import CompileOptions
from hidet_core.target import host
from hidet_core.tune import TuneOptions, search, tune_graph, tuner
from hidet_core.tune.in_context import InContext, Sample
from hidet_core.tune.inputs import sample_inputs, sizes_of
from hidet_core.tune.records import load, regret
from tests.hidet_core.compiled import Net, compare, feeds_of

QUICK = search.Effort(4, 3.0, 1e9, ((1, 3), (1, 1)))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(search.EFFORTS, "fast", QUICK)
    monkeypatch.setattr(tuner, "COMPARISONS", 3)


@pytest.fixture
def options(tmp_path):
    return CompileOptions(target="cpu", cache_dir=str(tmp_path))


def network(batch=3):
    net = Net()
    x = net.relu(net.matmul(net.x(batch, 70), net.const(70, 90)))
    return net.done(net.softmax(net.matmul(x, net.const(90, 33))))


@pytest.fixture
def second_wins(monkeypatch):
    """Of every problem the config of number 2 takes half of the default's time."""

    def measure(self, chosen, repeats):
        self.load(chosen)
        return {
            key: [Sample(50.0 if number == 2 else 150.0, 100.0)] * repeats
            for key, number in chosen.items()
        }

    monkeypatch.setattr(InContext, "measure", measure)
    monkeypatch.setattr(InContext, "compare", lambda self, chosen, repeats: [0.6] * repeats)


def table(tmp_path):
    return tuned.own_table(tmp_path / "tuned", host())


def test_what_wins_is_used_from_then_on(tmp_path, options, second_wins):
    graph = network()
    before = [kernel.config for kernel in compile_graph(graph, options).report.kernels]
    report = tune_graph(graph, options)
    assert report.ratio == 0.6 and len(report.changed) >= 2 and report.measured > 4
    assert {key: new for key, (_, new) in report.changed.items()} == table(tmp_path)
    done = compile_graph(graph, options)
    after = [kernel.config for kernel in done.report.kernels]
    assert sum(a != b for a, b in zip(before, after, strict=True)) == len(report.changed)
    assert {best.config for best in table(tmp_path).values()} <= set(after)
    feeds = feeds_of(graph)
    (found,) = Executable(done.plan, done.constants).run(list(feeds.values()))
    compare({graph.output_names[0]: found}, run_graph(graph, feeds), 1e-4)


def test_a_graph_that_is_not_faster_keeps_the_defaults(tmp_path, options, second_wins, monkeypatch):
    monkeypatch.setattr(InContext, "compare", lambda self, chosen, repeats: [1.0] * repeats)
    report = tune_graph(network(), options)
    assert report.ratio == 1.0 and not report.changed and not table(tmp_path)


def test_measured_for_real(tmp_path, options):
    """Records of every config, in a file; a second search has nothing left to do."""
    steps = []
    report = tune_graph(network(), options, tell=steps.append)
    records = load(tmp_path / "tuned" / f"{host().name}.records.jsonl")
    assert len(records) == report.measured > 0
    assert steps[-1].done == len(steps) and 0 < steps[-1].ratio <= 1.0
    for record in records:
        assert record["measured"]["median_ns"] > 0 and record["measured"]["ratio"] > 0
    assert regret(records)["problems"] <= report.problems
    again = tune_graph(network(), options)
    assert again.measured == 0 and again.problems == report.problems


def test_an_interrupted_search_goes_on(tmp_path, options):
    class Stop(Exception):
        pass

    def stop(progress):
        if progress.done == 2:
            raise Stop

    with pytest.raises(Stop):
        tune_graph(network(), options, tell=stop)
    path = tmp_path / "tuned" / f"{host().name}.records.jsonl"
    first = load(path)
    tune_graph(network(), options)
    names = [(r["key"], r["template"], r["config"]) for r in load(path)]
    assert len(first) >= 2
    later = names[len(first) :]
    finals = sum(names.count(name) > 1 for name in set(names))
    assert len(later) + len(first) - len(set(names)) == finals  # only finalists twice


def test_another_device_has_a_table_of_its_own(tmp_path, options, second_wins):
    tune_graph(network(), options)
    path = tmp_path / "tuned" / f"{host().name}.json"
    path.write_text(path.read_text().replace(host().device, "another"))
    assert table(tmp_path) == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 9, "best": {}}'])
def test_a_damaged_table_counts_as_none(tmp_path, options, content):
    path = tuned.own_path(tmp_path / "tuned", host())
    path.parent.mkdir()
    path.write_text(content)
    assert table(tmp_path) == {}
    compile_graph(network(), options)


def test_entries_of_other_problems_stay(tmp_path):
    target, folder = host(), tmp_path / "tuned"
    a, b = tuned.Best("Matmul", "a"), tuned.Best("Matmul", "b")
    tuned.write_own_table(folder, target, {"p": a, "q": a}, {"p": "fast", "q": "fast"})
    tuned.write_own_table(folder, target, {"p": b}, {"p": "full", "r": "full"})
    assert tuned.own_table(folder, target) == {"p": b, "q": a}
    assert tuned.searched(folder, target) == {"p": "full", "q": "fast", "r": "full"}
    data = json.loads(tuned.own_path(folder, target).read_text())
    assert data["device"] == target.device


def test_symbolic_sizes():
    graph = network("n")
    (size,) = sizes_of(graph, {}).values()
    assert size == 1
    sizes = sizes_of(graph, {"n": 5})
    (x,) = sample_inputs(graph, sizes)
    assert x.shape == (5, 70) and x.dtype == np.float32 and np.abs(x).max() > 1
    with pytest.raises(BadOption, match=r"'size': got 'm', allowed: n"):
        sizes_of(graph, {"m": 5})


def test_what_cannot_be_tuned(tmp_path):
    with pytest.raises(Unsupported, match="no cache folder"):
        tune_graph(network(), CompileOptions(target="cpu", cache=False))
    with pytest.raises(BadOption, match=r"'tuning': got 'quick', allowed: off, fast, full"):
        TuneOptions("quick")
