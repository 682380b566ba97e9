"""The model that docs/map.md follows through the compiler: python docs/example.py dump"""

import sys

import numpy as np
from onnx import numpy_helper, parser

from hidet_core import CompileOptions, compile_partition, from_model

TEXT = """<ir_version: 8, opset_import: ["": 17]>
    tiny (float[4, 8] x) => (float[4, 16] y) {
        product = MatMul(x, w)
        shifted = Add(product, b)
        positive = Relu(shifted)
        y = Softmax(positive)
    }"""


def compile_example(dump_dir: str):
    rng = np.random.default_rng(0)
    model = parser.parse_model(TEXT)
    for name, shape in (("w", (8, 16)), ("b", (16,))):
        array = rng.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    graph = from_model(model)
    nodes = [node.id for node in graph.nodes]
    return compile_partition(graph, nodes, ["x"], ["y"], CompileOptions(dump_dir=dump_dir))


if __name__ == "__main__":
    compile_example(sys.argv[1])
