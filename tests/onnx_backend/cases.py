"""ONNX's backend tests as one list: those that onnx makes (node), and those it stores as files.

Out: its TestCase objects with model and data in memory, of models with an operator that a kernel
can compute, in an order that is the same in every process.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import onnx
from onnx import numpy_helper

# of ai.onnx: what no kernel of ours shall compute
NO_KERNELS = {
    "Compress NonZero NonMaxSuppression Unique": "the output's shape depends on data",
    "If Loop Scan": "control flow; the graphs inside are cases of their own",
    "SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength "
    "SequenceMap SplitToSequence ConcatFromSequence Optional OptionalGetElement "
    "OptionalHasElement": "sequences and optional values",
    "StringConcat StringNormalizer StringSplit RegexFullMatch TfIdfVectorizer": "strings",
    "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike": "random",
    "ImageDecoder Det": "no tensor program: a codec, an elimination with pivots",
    "Constant": "ONNX Runtime makes it an initializer",
}
STORED_KINDS = ("simple", "pytorch-operator", "pytorch-converted")


def load_cases():
    warnings.simplefilter("ignore")  # about overflows on purpose, while onnx makes its data
    from onnx.backend.test.loader import load_model_tests

    cases = load_model_tests(kind="node")
    for kind in STORED_KINDS:
        stored = sorted(load_model_tests(kind=kind), key=lambda case: case.name)
        cases += [_read(case) for case in stored if case.model_dir]
    return [case for case in cases if any(_is_ours(node) for node in case.model.graph.node)]


def _is_ours(node):
    left = " ".join(NO_KERNELS).split()
    return node.domain in ("", "ai.onnx") and node.op_type not in left


def _read(case):
    folder = Path(case.model_dir)
    data_sets = [
        (_tensors(data, "input"), _tensors(data, "output"))
        for data in sorted(folder.glob("test_data_set_*"))
    ]
    model = onnx.load(folder / "model.onnx")
    if any(array is None for pair in data_sets for tensors in pair for array in tensors):
        data_sets = []  # sequences: nothing to compare, the session is created all the same
    return dataclasses.replace(case, model=model, data_sets=data_sets)


def _tensors(folder, kind):
    """input_0.pb, input_1.pb, ... as arrays; None for what is no tensor."""
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.split("_")[1]))
    return [_array(file.read_bytes()) for file in files]


def _array(content):
    try:
        return numpy_helper.to_array(onnx.TensorProto.FromString(content))
    except Exception:  # protobuf's and onnx's errors for another message
        return None
