"""Tiny transformers of images and text on the emulated GPU (scripts/validate_zoo.py runs all)."""

import onnx
import pytest

from hidet_ep import zoo
from hidet_ep.validate import Request, validate

TINY = {
    "swin": lambda: zoo.swin(zoo.SwinSizes(16, 4, 2, 8, (2,), (2,), classes=3)),
    "t5_gated": lambda: zoo.build_network("t5_gated", "reduced"),
}


@pytest.mark.parametrize("name", TINY)
def test_a_network(name, tmp_path):
    path = tmp_path / f"{name}.onnx"
    onnx.save(TINY[name](), path)
    verdict = validate(str(path), Request("cuda", runs=2))
    assert not verdict.problems
    assert verdict.claimed == verdict.nodes > 0
    assert verdict.partitions == 1
