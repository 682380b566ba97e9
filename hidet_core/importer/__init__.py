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
    reduction,
    residual,
    shape,
    spatial,
    transformers,
)
from .importer import explain_graph, explain_node, import_subgraph
from .onnx_graph import OnnxGraph, OnnxNode, OnnxValue, from_model

__all__ = [
    "OnnxGraph",
    "OnnxNode",
    "OnnxValue",
    "activation",
    "attention",
    "basic",
    "convolution",
    "einsum",
    "explain_graph",
    "explain_node",
    "from_model",
    "grouped_query",
    "import_subgraph",
    "indexing",
    "linear",
    "normalisation",
    "reduction",
    "residual",
    "shape",
    "spatial",
    "transformers",
]
