"""Sessions that are tuned when they are created, and the command that does it."""

import io
import logging

import numpy as np
import onnxruntime as ort
import pytest

from hidet_core import TuneProgress, TuneReport
from hidet_core.schedule.tuned import Best
from hidet_ep import tuning
from hidet_ep.cli import main
from hidet_ep.cli.tune import Bar
from hidet_ep.options import parse
from hidet_ep.settings import tune_options
from tests.ep import models
from tests.ep.real.sessions import open_session

CHANGED = {"matmul a": (Best("Matmul", "m=1"), Best("Gemv", "k=2"))}
REPORT = TuneReport(3, 40, 37, 1.5, 0.8, CHANGED)


def network(rows="N"):
    rng = np.random.default_rng(0)
    nodes = [models.node("MatMul", ["x", "w"], ["t"]), models.node("Relu", ["t"], ["y"])]
    constants = {"w": rng.standard_normal((48, 40)).astype(np.float32)}
    ends = [models.value("x", (rows, 48))], [models.value("y", (rows, 40))]
    return models.model(nodes, *ends, constants)


@pytest.fixture
def searched(monkeypatch):
    """The arguments of searches, which find something at once."""
    seen = []

    def tune_partition(graph, node_ids, inputs, outputs, options, tune, tell):
        seen.append((tune, options.cache_dir))
        for done in (1, 2, 3, 4):
            tell(TuneProgress(done, 4, 4.0 - done, 1 - done / 20))
        return REPORT

    monkeypatch.setattr(tuning, "tune_partition", tune_partition)
    return seen


def test_options_reach_the_tuner(searched, tmp_path, caplog):
    assert tune_options(parse({"tuning": "off"})) is None
    given = {"tuning": "full", "tuning_sizes": "N=4 a=b=7", "cache_dir": str(tmp_path)}
    with caplog.at_level(logging.INFO, "hidet_ep.tuning"):
        open_session(network(), {"target": "cpu", **given})
    ((tune, folder),) = searched
    assert (tune.effort, tune.sizes) == ("full", {"N": 4, "a=b": 7})
    assert folder == str(tmp_path)
    assert "tuned in 1.5 s: 1 of 3 problems changed, 0.800 of the time" in caplog.text


def test_a_session_is_tuned_for_real(tmp_path):
    options = {"target": "cpu", "tuning": "fast", "tuning_sizes": "N=5"}
    with tuning.watch(lambda progress: None) as watcher:
        session = open_session(network(), {**options, "cache_dir": str(tmp_path)})
    (report,) = watcher.reports
    assert report.problems == 1 and report.measured > 1
    assert list((tmp_path / "tuned").glob("*.records.jsonl"))
    x = np.random.default_rng(1).standard_normal((9, 48)).astype(np.float32)
    plain = ort.InferenceSession(network(), providers=["CPUExecutionProvider"])
    (found,), (want,) = session.run(None, {"x": x}), plain.run(None, {"x": x})
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_tuned_is_compiled_all_the_same(caplog):
    session = open_session(network(), {"target": "cpu", "tuning": "fast", "cache": "off"})
    assert "not tuned: there is no cache folder" in caplog.text
    assert session.run(None, {"x": np.ones((2, 48), np.float32)})[0].shape == (2, 40)


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(network())
    return str(path)


def test_the_command_shows_progress_and_changes(searched, model_file, capsys):
    assert main(["tune", model_file, "--effort", "full", "--size", "N=3"]) == 0
    assert searched[0][0].sizes == {"N": 3}
    shown = capsys.readouterr()
    assert "3 problems, 37 of 40 configs measured in 2 s; 1 problems changed: 1.250x" in shown.out
    assert "  matmul a\n    Matmul m=1\n    -> Gemv k=2\n" in shown.out
    assert "3/4 rounds, 1 s left, 1.18x so far" in shown.err


def test_ctrl_c_ends_the_command(monkeypatch, model_file, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "tune_partition", interrupted)
    assert main(["tune", model_file]) == 130
    assert "interrupted: what was measured is kept" in capsys.readouterr().err


def test_a_bad_size_is_named(model_file, capsys):
    assert main(["tune", model_file, "--size", "N"]) == 2
    assert "tuning_sizes" in capsys.readouterr().err


def test_a_bar_on_a_terminal_is_one_line():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    bar = Bar(Terminal())
    for done in (1, 2):
        bar(TuneProgress(done, 2, 0.4, 0.5))
    bar.end()
    text = bar.stream.getvalue()
    assert text.count("\r") == 2 and text.endswith("2.00x so far\x1b[K\n")
