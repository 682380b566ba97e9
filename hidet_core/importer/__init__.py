"""ONNX nodes to operators, per opset version."""

from . import (
    activation,
    basic,
    conv_transpose,
    convolution,
    einsum,
    indexing,
    linear,
    normalisation,
    pooling,
    qlinear,
    quantization,
    reduction,
    scatter,
    shape,
    spatial,
)
from .describe import OperatorSupport, describe_operators
from .importer import explain_graph, explain_node, import_subgraph
from .onnx_graph import OnnxGraph, OnnxNode, OnnxValue, from_model

__all__ = [
    "OnnxGraph",
    "OnnxNode",
    "OnnxValue",
    "OperatorSupport",
    "activation",
    "basic",
    "conv_transpose",
    "convolution",
    "describe_operators",
    "einsum",
    "explain_graph",
    "explain_node",
    "from_model",
    "import_subgraph",
    "indexing",
    "linear",
    "normalisation",
    "pooling",
    "qlinear",
    "quantization",
    "reduction",
    "scatter",
    "shape",
    "spatial",
]
