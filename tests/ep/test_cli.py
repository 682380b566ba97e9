"""The command `hidet-ep`, called in this process, with the fake compiler."""

import json

import pytest

import hidet_ep
from hidet_ep.cli import main
from hidet_ep.options import describe
from tests.ep import models
from tests.ep.fake_compiler import FakeCompiler, installed


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(models.split_by_unsupported())
    return path


@pytest.fixture
def call(capsys):
    """call(arguments...) -> exit status, what was printed, what was complained about."""

    def run(*arguments):
        with installed(FakeCompiler()):
            status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


def test_inspect_shows_partitions_kernels_and_reasons(call, model_file):
    status, shown, _ = call("inspect", model_file)
    assert status == 0
    assert "graph 'test_graph': 4 nodes, 3 in HidetEP\ncompiled for the CPU (" in shown
    assert "kernels of partition 0" in shown and "kernels of partition 1" in shown
    assert "x -> a" in shown and "a, b -> y" in shown
    assert "Sigmoid" in shown and "operator Sigmoid is not known" in shown


def test_inspect_as_json(call, model_file):
    _, shown, _ = call("inspect", model_file, "--json")
    (graph,) = json.loads(shown)
    assert graph["target"].startswith("the CPU (")
    assert [len(part["nodes"]) for part in graph["partitions"]] == [1, 2]
    assert [kernel["ops"] for kernel in graph["partitions"][1]["kernels"]] == [["Add"], ["Neg"]]
    assert [entry["node"] for entry in graph["refused"]] == ["Sigmoid_b"]


def test_inspect_shows_bodies_of_control_flow(call, tmp_path):
    path = tmp_path / "if.onnx"
    path.write_bytes(models.with_if()[0])
    _, shown, _ = call("inspect", path, "--all")
    assert shown.count("graph '") == 3 and "control flow stays" in shown


def test_run_compares(call, model_file):
    status, shown, _ = call("run", model_file, "--dim", "N=3")
    assert status == 0 and "3x8" in shown
    assert "largest difference from the CPU provider" in shown


def test_run_finds_wrong_numbers(call, model_file):
    assert call("run", model_file, "--dim", "N=3", "--tolerance", "-1")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("inspect", "nowhere.onnx"), "nowhere.onnx: no such file"),
        (("inspect", __file__), "Protobuf parsing failed"),
        (("run", "MODEL", "-o", "targte=cpu"), "did you mean 'target'"),
        (("run", "MODEL", "-o", "target"), "expected KEY=VALUE"),
        (("run", "MODEL", "--dim", "N"), "expected NAME=SIZE"),
    ],
)
def test_mistakes_are_one_line(call, model_file, arguments, complaint):
    arguments = [model_file if argument == "MODEL" else argument for argument in arguments]
    status, shown, complaints = call(*arguments)
    assert (status, shown) == (2, "")
    assert complaint in complaints and complaints.count("\n") == 1


def test_cache(call, tmp_path, monkeypatch):
    status, shown, _ = call("cache", "info", "--dir", tmp_path / "cache")
    assert status == 0 and "0 kernels" in shown
    assert "0 kernels removed" in call("cache", "clear", "--dir", tmp_path / "cache")[1]
    monkeypatch.setenv("HIDET_CACHE", "off")
    assert "switched off" in call("cache", "info")[1]


def test_operators_lists_opsets_types_and_refusals(call):
    status, shown, _ = call("operators")
    assert status == 0 and "Add  opset 7+  floats signed unsigned\n" in shown
    status, shown, _ = call("operators", "ConstantOfShape", "NonZero")
    assert status == 1
    assert shown.startswith("ConstantOfShape  opset 9+  i64\n    not: shape not known")
    assert shown.endswith("NonZero: not supported; such nodes stay with ONNX Runtime\n")


def test_options_lists_the_table(call):
    shown = call("options")[1]
    assert all(key in shown for key, *_ in describe())


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == hidet_ep.__version__
