"""Models of one node, run by ONNX Runtime's CPU provider and by our reference, and compared."""

import zlib
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from hidet_core.graph.graph import verify_graph
from hidet_core.graph.passes import run_passes
from hidet_core.graph.reference import run_graph
from hidet_core.importer import explain_graph, from_model, import_subgraph

DOMAINS = {"com.microsoft": 1}


@dataclass
class Case:
    """inputs: arrays, shapes (float32 of that shape, normal), or None for an absent input.

    constants: positions of the inputs that are initializers.
    """

    op: str
    opset: int
    inputs: list
    attrs: dict = field(default_factory=dict)
    constants: tuple = ()
    outputs: int = 1
    domain: str = ""
    rtol: float = 1e-5
    atol: float = 1e-6
    note: str = ""

    def __str__(self):
        words = [f"{self.op}-{self.opset}", *(f"{k}={v}" for k, v in self.attrs.items()), self.note]
        return " ".join(word for word in words if word)

    def arrays(self):
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        return [
            rng.standard_normal(spec).astype(np.float32) if isinstance(spec, tuple) else spec
            for spec in self.inputs
        ]


def one_node_model(case, arrays, dims=None):
    """dims: shapes of the inputs with names in place of numbers (symbolic batch, ...)."""
    names = ["" if array is None else f"x{k}" for k, array in enumerate(arrays)]
    outputs = [f"y{k}" for k in range(case.outputs)]
    node = helper.make_node(case.op, names, outputs, name="node", domain=case.domain, **case.attrs)
    inputs, initializers = [], []
    for k, array in enumerate(arrays):
        if array is None:
            continue
        if k in case.constants:
            initializers.append(numpy_helper.from_array(array, f"x{k}"))
            continue
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        shape = dims[k] if dims else array.shape
        inputs.append(helper.make_tensor_value_info(f"x{k}", kind, shape))
    unknown = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([node], "g", inputs, unknown, initializers)
    opsets = [helper.make_opsetid("", case.opset)]
    if case.domain:
        opsets.append(helper.make_opsetid(case.domain, DOMAINS[case.domain]))
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def run_ort(model, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def import_model(model):
    """The graph of a whole model before and after the passes; every node has to be supported."""
    graph = from_model(model)
    assert explain_graph(graph) == {}
    imported = import_subgraph(graph, [n.id for n in graph.nodes], graph.inputs, graph.outputs)
    verify_graph(imported)
    return imported, run_passes(imported, lambda name, result: verify_graph(result))


def compare(model, feeds, rtol=1e-5, atol=1e-6):
    """Both graphs against ONNX Runtime; dtypes, shapes and values have to be the same."""
    expected = run_ort(model, feeds)
    names = [output.name for output in model.graph.output]
    for graph in import_model(model):
        found = run_graph(graph, feeds)
        for name, right in zip(names, expected, strict=True):
            assert found[name].dtype == right.dtype, f"{name}: {found[name].dtype} {right.dtype}"
            np.testing.assert_allclose(found[name], right, rtol, atol, err_msg=name)


def check(case, dims=None):
    arrays = case.arrays()
    feeds = {
        f"x{k}": array
        for k, array in enumerate(arrays)
        if array is not None and k not in case.constants
    }
    compare(one_node_model(case, arrays, dims), feeds, case.rtol, case.atol)
