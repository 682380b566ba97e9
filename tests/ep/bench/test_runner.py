"""The benchmark end to end on a tiny model, the CPU provider against itself."""

import json

import onnx
import pytest

from hidet_ep.bench import Settings, benchmark, main, parse_provider, runner
from hidet_ep.bench.creation import creation_times

QUICK = Settings(threads=1, seconds=0.01, min_rounds=2, creation=False)
CPU = parse_provider("cpu")


def quiet(line):
    pass


def test_cpu_against_itself(tiny):
    report = benchmark([str(tiny)], [CPU, CPU], QUICK, say=quiet)
    (model,) = report.models
    first, second = model.results
    assert (model.model, model.nodes) == ("tiny", 2)
    assert first.stats.runs >= 2 and first.speedup is None
    assert second.max_error == 0.0 and second.speedup > 0
    assert second.claimed == 1.0


def test_a_wrong_provider_is_not_timed(tiny, monkeypatch):
    monkeypatch.setattr(runner, "max_relative_error", lambda *_: 0.25)
    report = benchmark([str(tiny)], [CPU, CPU], QUICK, say=quiet)
    first, second = report.models[0].results
    assert first.stats is not None and second.stats is None
    assert second.failure == "error 2.5e-01 of the output's scale > 1e-03"


def test_a_nan_error_is_a_failure(tiny, monkeypatch):
    monkeypatch.setattr(runner, "max_relative_error", lambda *_: float("nan"))
    report = benchmark([str(tiny)], [CPU, CPU], QUICK, say=quiet)
    assert report.models[0].results[1].failure


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_missing_provider_does_not_stop_the_others(tiny):
    missing = parse_provider("NoSuchEP")
    report = benchmark([str(tiny)], [CPU, missing, CPU], QUICK, say=quiet)
    first, second, third = report.models[0].results
    assert "NoSuchEP" in second.failure
    assert first.stats and third.stats


def test_creation_is_measured_in_fresh_processes(tiny):
    cold, warm = creation_times(tiny, CPU, threads=1)
    assert 0 < cold < 60 and 0 < warm < 60


def test_creation_does_not_import_what_lies_in_the_current_folder(tiny, tmp_path, monkeypatch):
    for package in ("hidet_core", "hidet_ep"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('sources')")
    monkeypatch.chdir(tmp_path)
    assert min(creation_times(tiny, CPU, threads=1)) > 0


def test_a_failing_creation_says_why(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(RuntimeError, match="creating a session on CPU failed: "):
        creation_times(broken, CPU, threads=1)


def test_command_line(tiny, tmp_path, capsys):
    out = tmp_path / "report.json"
    arguments = [str(tiny), "--providers", "cpu", "cpu", "--threads", "1", "--seconds", "0.01"]
    assert main([*arguments, "--no-creation", "--json", str(out)]) == 0
    assert "tiny" in capsys.readouterr().out
    assert json.loads(out.read_text())["models"][0]["model"] == "tiny"
    assert str(tmp_path) not in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such/model.onnx"], "'no/such/model.onnx' is neither a file nor in the zoo"),
        (["squeezenet", "--providers", "cpu:bad"], "provider 'cpu:bad'"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_failure_is_the_exit_code(tiny, monkeypatch, capsys):
    monkeypatch.setattr(runner, "max_relative_error", lambda *_: 1.0)
    arguments = [str(tiny), "--providers", "cpu", "cpu", "--threads", "1", "--seconds", "0.01"]
    assert main([*arguments, "--no-creation"]) == 1
    assert "FAILED tiny on CPU" in capsys.readouterr().out


def test_symbolic_sizes_follow_the_batch(tiny, monkeypatch):
    seen = {}
    original = runner.zoo.inputs
    monkeypatch.setattr(
        runner.zoo, "inputs", lambda *a: seen.setdefault("feeds", original(*a)), raising=True
    )
    benchmark([str(tiny)], [CPU], Settings(**{**vars(QUICK), "batch": 5}), say=quiet)
    assert seen["feeds"]["x"].shape == (5, 4)
    assert onnx.load(tiny).graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_models_of_the_zoo_in_float16():
    settings = Settings(**{**vars(QUICK), "image": 64, "dtype": "float16"})
    report = benchmark(["squeezenet"], [CPU], settings, say=quiet)
    assert report.models[0].model == "squeezenet float16"
    (value,) = onnx.load(runner.model_path("squeezenet", settings)).graph.input
    assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
