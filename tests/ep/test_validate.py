"""Validation finds what is wrong: the CPU provider stands in for the provider under test."""

import json

import numpy as np
import pytest

from hidet_ep import validate, zoo
from hidet_ep.bench.providers import Assignment, parse_provider
from hidet_ep.validate import Request, Verdict

CPU = parse_provider("cpu")
SMALL = Request(image=64)


@pytest.fixture
def cpu_as_target(monkeypatch):
    monkeypatch.setitem(validate.TARGETS, "cpu", "cpu")


def test_the_same_provider_is_right():
    verdict = validate.validate("squeezenet", SMALL, CPU)
    assert verdict.problems == ()
    assert verdict.max_error == 0.0
    assert verdict.claimed == verdict.nodes > 50


def test_several_batches_run_in_one_session_with_a_symbolic_batch(monkeypatch):
    opened = []
    original = validate.open_session
    monkeypatch.setattr(
        validate, "open_session", lambda path, *a: opened.append(path.name) or original(path, *a)
    )
    request = Request(image=64, batches=(1, 2, 7))
    assert validate.validate("squeezenet", request, CPU).problems == ()
    assert len(opened) == 2 and all("-bN-" in name for name in opened)


def test_a_wrong_output_is_found_in_any_batch(monkeypatch):
    original, calls = validate._run_all, []

    def spoil_the_last(session, feeds):
        outputs = original(session, feeds)
        calls.append(session)
        if len(calls) == 2:
            outputs[-1][0][-1] += np.float32(0.01) * outputs[-1][0].max()
        return outputs

    monkeypatch.setattr(validate, "_run_all", spoil_the_last)
    verdict = validate.validate("squeezenet", Request(image=64, batches=(1, 2)), CPU)
    assert verdict.problems == ("error 1.00e-02 of the output's scale > 1.00e-03",)


def test_too_few_nodes_claimed_is_a_problem(monkeypatch):
    counted = Assignment(nodes=100, claimed=98, partitions=3, elsewhere=("LRN",))
    monkeypatch.setattr(validate, "assignment", lambda *_: counted)
    verdict = validate.validate("squeezenet", SMALL, CPU)
    assert verdict.problems == ("claims 98.0% of the nodes; elsewhere: LRN",)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_nodes_that_only_compute_shapes_need_not_be_claimed(monkeypatch):
    counted = Assignment(nodes=100, claimed=90, partitions=4, elsewhere=("Shape",))
    told = {"shapes": 10, "kernels": 5, "fused": 3, "refused": (("Shape", "cheap", 10),)}
    monkeypatch.setattr(validate, "assignment", lambda *_: counted)
    monkeypatch.setattr(validate, "_told", lambda _: told)
    assert validate.validate("squeezenet", SMALL, CPU).problems == ("4 partitions > 3",)
    monkeypatch.setattr(validate, "_told", lambda _: {**told, "shapes": 8})
    claims, _ = validate.validate("squeezenet", SMALL, CPU).problems
    assert claims == "claims 97.8% of the nodes; elsewhere: Shape"


def test_symbolic_sizes_come_from_the_catalogue(monkeypatch):
    seen = []
    original = validate.zoo.inputs
    monkeypatch.setattr(validate.zoo, "inputs", lambda *a: seen.append(a[2]) or original(*a))
    assert not validate.validate("convnext", Request(scale="symbolic"), CPU).problems
    assert tuple(seen) == zoo.NETWORKS["convnext"].runs


def test_a_model_without_the_data_type_is_named():
    with pytest.raises(ValueError, match=r"Conv.* has no bfloat16 before opset 22"):
        validate.validate("vit", Request(dtype="bfloat16", scale="reduced"), CPU)


def test_a_provider_that_fails_is_a_problem():
    verdict = validate.validate("squeezenet", SMALL, parse_provider("NoSuchEP"))
    assert "NoSuchEP" in verdict.problems[0] and verdict.max_error is None


def test_table(golden):
    right = Verdict("resnet50", 120, 120, 1, 0, 55, 50, (), 3.2e-7, 4.5)
    refused = (("LRN", "too wide", 2), ("LRN", "too deep", 1))
    problems = ("error too large", "one more")
    wrong = Verdict("vgg19", 40, 39, 2, 0, None, None, refused, 0.5, 1.25, problems)
    broken = Verdict("alexnet", problems=("no such provider",))
    golden(validate.verdict_table([right, wrong, broken]))


def test_command_line(cpu_as_target, tmp_path, capsys):
    out = tmp_path / "verdicts.json"
    arguments = ["squeezenet", "--image", "64", "--threads", "1", "--json", str(out)]
    assert validate.main(arguments) == 0
    assert "1 of 1 models are right" in capsys.readouterr().out
    data = json.loads(out.read_text())
    assert data["models"][0]["model"] == "squeezenet"
    assert str(tmp_path) not in out.read_text()


def test_wrong_arguments(cpu_as_target, capsys):
    assert validate.main(["resnet99"]) == 2
    assert "resnet99" in capsys.readouterr().err


def test_the_exit_code_tells_of_a_wrong_model(cpu_as_target, monkeypatch, capsys):
    monkeypatch.setattr(validate, "max_relative_error", lambda *_: float("nan"))
    assert validate.main(["squeezenet", "--image", "64", "--threads", "1"]) == 1
    assert "0 of 1 models are right" in capsys.readouterr().out
