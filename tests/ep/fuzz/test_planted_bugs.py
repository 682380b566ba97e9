"""The fuzzer finds bugs that are put in, and shrinks them to the node that has it."""

from dataclasses import replace

import numpy as np
import pytest

from hidet_core.importer.registry import HANDLERS
from hidet_core.ops import OPS
from hidet_ep.fuzz.case import Settings, generate
from hidet_ep.fuzz.judge import judge
from hidet_ep.fuzz.main import Hunt, main
from hidet_ep.fuzz.report import Summary, load


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    """In this process, and kernels compiled anew."""
    monkeypatch.setenv("HIDET_CACHE", "off")
    monkeypatch.setenv("HIDET_WORKERS", "0")


def hunt(settings, folder, seeds=range(200)):
    """Until something is found."""
    for seed in seeds:
        found = Hunt(settings, [seed], Summary(1), folder)
        found.judge_all([judge])
        if found.summary.findings:
            return found.summary.findings[seed], folder / f"cpu-{seed}"
    return None, None


OTHERS = ("Tanh", "Add", "Transpose", "Reshape", "Concat")


def test_a_wrong_definition(monkeypatch, tmp_path):
    monkeypatch.setitem(OPS, "tanh", replace(OPS["sigmoid"], name="tanh"))
    (kind, text, _), folder = hunt(Settings(ops=OTHERS), tmp_path)
    assert kind == "wrong" and "elements" in text
    model, feeds = load(folder)
    assert [node.op_type for node in model.graph.node] == ["Tanh"]
    assert max(array.size for array in feeds[0].values()) <= 2
    report = (folder / "report.txt").read_text()
    assert "--seed" in report and "Tanh" in report and (folder / "original.onnx").exists()


def test_an_error_of_the_importer(monkeypatch, tmp_path):
    def broken(ctx):
        raise ZeroDivisionError("planted")

    versions = dict.fromkeys(HANDLERS[("", "Relu")], broken)
    monkeypatch.setitem(HANDLERS, ("", "Relu"), versions)
    (kind, text, _), folder = hunt(Settings(ops=("Relu", "Add")), tmp_path)
    # of bf16 there is no provider that takes the node in our place
    assert (kind, "partitioner failed" in text) == ("compile", True) or "Relu" in text
    model, _ = load(folder)
    assert [node.op_type for node in model.graph.node if node.op_type != "Cast"] == ["Relu"]


def test_a_saved_finding_is_what_was_judged(tmp_path):
    case = generate(11, Settings())
    verdict = judge(case)
    assert verdict.kind == "ok" and verdict.claimed == verdict.nodes > 0
    summary = Summary(1)
    summary.add(11, verdict)
    assert summary.share == 1.0 and "1/1 (1 ok)" in summary.text()
    assert set(summary.as_json()["operators"]) == set(case.op_types)


def test_unknown_operators_are_named(capsys):
    assert main(["--ops", "Conv,Nothing", "--count", "1"]) == 2
    assert "Nothing" in capsys.readouterr().out


def test_shrinking_keeps_the_numbers(monkeypatch, tmp_path):
    """Inputs in the middle hold what the provider computes there."""
    monkeypatch.setitem(OPS, "exp", replace(OPS["tanh"], name="exp"))
    (kind, _, _), folder = hunt(Settings(ops=("Exp", "Sigmoid", "Neg")), tmp_path)
    model, feeds = load(folder)
    ops = [node.op_type for node in model.graph.node]
    assert kind == "wrong" and [op for op in ops if op != "Cast"] == ["Exp"]
    assert all(np.isfinite(array).all() for array in feeds[0].values())
