"""ONNX nodes to operators, per opset version."""

from . import (
    activation,
    attention,
    basic,
    convolution,
    einsum,
    grouped_query,
    indexing,
    linear,
    normalisation,
    qlinear,
    quantization,
    reduction,
    residual,
    scatter,
    shape,
    spatial,
    transformers,
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
    "attention",
    "basic",
    "convolution",
    "describe_operators",
    "einsum",
    "explain_graph",
    "explain_node",
    "from_model",
    "grouped_query",
    "import_subgraph",
    "indexing",
    "linear",
    "normalisation",
    "qlinear",
    "quantization",
    "reduction",
    "residual",
    "scatter",
    "shape",
    "spatial",
    "transformers",
]
