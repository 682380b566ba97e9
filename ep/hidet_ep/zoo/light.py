"""A light model of the onnx wheel -> the same network with seeded weights, batch and image size.

before:  w = ConstantOfShape(shape);  y = Conv(x, w, b)      b, shape: initializers and graph inputs
after:   y = Conv(x, w, b)                                   w, b: constant initializers (IR >= 8)

Every parameter of a Conv, Gemm, BatchNormalization or per-channel scale is drawn anew, the few
trained ones included: trained statistics beside random filters would blow activations up.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from hidet_ep.zoo.weights import draw_parameters

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
PREFIX = "light_"
IR_VERSION = 8  # from IR 4 on an initializer that is no graph input is a constant
FULL_IMAGE = 224
OPSET = 9  # of these models
IMAGE_STEP = 32  # what these networks divide an image by before their last pooling


def names() -> tuple[str, ...]:
    """The models that `build` knows, sorted."""
    return tuple(sorted(f.stem.removeprefix(PREFIX) for f in LIGHT.glob(f"{PREFIX}*.onnx")))


def build(
    name: str, seed: int = 0, batch: int | str = 1, image: int = FULL_IMAGE
) -> onnx.ModelProto:
    """The model `name`. batch: a size, or a symbol such as 'N' for a dynamic one."""
    _check(name, batch, image)
    model = onnx.load(LIGHT / f"{PREFIX}{name}.onnx")
    _drop_constant_nodes(model.graph)
    _resize(model.graph, batch, image)
    _only_true_inputs(model.graph)
    _set_parameters(model.graph, name, seed)
    model.ir_version = max(model.ir_version, IR_VERSION)
    model.graph.name = name
    return model


def _check(name: str, batch: int | str, image: int) -> None:
    if name not in names():
        raise ValueError(f"zoo model {name!r} is unknown; there are {', '.join(names())}")
    if isinstance(batch, int) and batch < 1:
        raise ValueError(f"batch of {name} must be 1 or more, or a symbol, not {batch}")
    if isinstance(batch, str) and not batch.isidentifier():
        raise ValueError(f"batch of {name} must be a size or an identifier, not {batch!r}")
    if image < IMAGE_STEP or image % IMAGE_STEP:
        raise ValueError(f"image of {name} must be a multiple of {IMAGE_STEP}, not {image}")


def _drop_constant_nodes(graph: onnx.GraphProto) -> None:
    """ConstantOfShape nodes become initializers of the same shape, for now without numbers."""
    given = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        dims = numpy_helper.to_array(given[node.input[0]])
        empty = onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, name=node.output[0])
        empty.dims.extend(dims.tolist())
        graph.initializer.append(empty)
    _assign(graph.node, kept)


def _only_true_inputs(graph: onnx.GraphProto) -> None:
    """Initializers leave the graph's inputs; those that no node uses leave the graph."""
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    _assign(graph.initializer, kept)
    constant = {tensor.name for tensor in kept}
    _assign(graph.input, [i for i in graph.input if i.name in used - constant])


def _set_parameters(graph: onnx.GraphProto, name: str, seed: int) -> None:
    given = {tensor.name: tensor for tensor in graph.initializer}
    for key, values in draw_parameters(graph, name, np.random.default_rng(seed)):
        tensor = given[key]
        tensor.ClearField("float_data")
        tensor.raw_data = np.ascontiguousarray(values, np.float32).tobytes()


# ---- batch and image -------------------------------------------------------------------------


def _resize(graph: onnx.GraphProto, batch: int | str, image: int) -> None:
    given = {tensor.name: tensor for tensor in graph.initializer}
    feeds = [value for value in graph.input if value.name not in given]
    for value in [*feeds, *graph.output]:
        _set_batch(value.type.tensor_type.shape.dim[0], batch)
    for value in feeds:
        for dim in value.type.tensor_type.shape.dim[2:]:
            dim.dim_value = image
    if image != FULL_IMAGE:
        _refit(graph, image)
    for shape, _ in _activation_reshapes(graph, given):
        _set_target(shape, [0, *numpy_helper.to_array(shape)[1:]])  # 0: the batch that comes in


def _set_batch(dim: onnx.TensorShapeProto.Dimension, batch: int | str) -> None:
    if isinstance(batch, str):
        dim.dim_param = batch
    else:
        dim.dim_value = batch


def _refit(graph: onnx.GraphProto, image: int) -> None:
    """Reshapes, the Gemm behind a flattening and a pooling of the whole image follow the image.

    before:  AveragePool 7x7 of [1, c, 7, 7];  Reshape to [1, c * 49];  Gemm with [n, c * 49]
    after:   AveragePool 2x2 of [1, c, 2, 2];  Reshape to [1, c * 4];   Gemm with [n, c * 4]
    """
    given = {tensor.name: tensor for tensor in graph.initializer}
    full = _shapes(graph, FULL_IMAGE)
    for node in graph.node:
        if node.op_type == "AveragePool" and full[node.output[0]][2:] == [1, 1]:
            _pool_all(node, _incoming(graph, image, node)[-2:])
        elif node.op_type == "Reshape" and node.input[0] not in given:
            target = given[node.input[1]]
            dims = numpy_helper.to_array(target).tolist()
            sizes = _incoming(graph, image, node)
            if len(dims) > 2:
                _set_target(target, [*dims[:-2], *sizes[-2:]])
            else:
                _set_target(target, [dims[0], math.prod(sizes[1:])])
                _shrink_gemm(graph, given, node.output[0], math.prod(sizes[1:]))


def _activation_reshapes(
    graph: onnx.GraphProto, given: dict[str, onnx.TensorProto]
) -> Iterator[tuple[onnx.TensorProto, str]]:
    """(target shape, result) of the Reshapes of activations, which begin with the batch."""
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[0] not in given:
            yield given[node.input[1]], node.output[0]


def _shapes(graph: onnx.GraphProto, image: int) -> dict[str, list[int]]:
    """Of every value whose shape follows from an image of that size, with a batch of 1."""
    plain = onnx.GraphProto()
    plain.CopyFrom(graph)
    del plain.value_info[:], plain.output[:]
    given = {tensor.name for tensor in plain.initializer}
    for value in plain.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in given:
            sizes = (1, dims[1].dim_value, image, image)
            for dim, size in zip(dims, sizes, strict=True):
                dim.dim_value = size
    plain.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in graph.node[-1:])
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(plain, opset_imports=[opset])
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    return {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}


def _incoming(graph: onnx.GraphProto, image: int, node: onnx.NodeProto) -> list[int]:
    """[1, ..., h, w] that comes into a node."""
    shape = _shapes(graph, image).get(node.input[0], [])
    if len(shape) < 4 or min(shape) < 1:
        raise ValueError(f"an image of {image} is too small: nothing of it reaches {node.input[0]}")
    return shape


def _pool_all(node: onnx.NodeProto, sizes: list[int]) -> None:
    """The window becomes the whole of the padded image."""
    ints = {attribute.name: attribute.ints for attribute in node.attribute}
    pads = ints.get("pads", [0, 0, 0, 0])
    window = [size + pads[axis] + pads[axis + 2] for axis, size in enumerate(sizes)]
    _assign(ints["kernel_shape"], window)


def _set_target(shape: onnx.TensorProto, dims: list[int]) -> None:
    """Each Reshape has a target shape of its own."""
    shape.CopyFrom(numpy_helper.from_array(np.array(dims, np.int64), shape.name))


def _shrink_gemm(
    graph: onnx.GraphProto, given: dict[str, onnx.TensorProto], data: str, width: int
) -> None:
    """The Gemm behind a flattening gets as many columns as the flattened image has."""
    for node in graph.node:
        if node.op_type == "Gemm" and node.input[0] == data and node.input[1] in given:
            given[node.input[1]].dims[1] = width


def _assign(field, values) -> None:
    values = list(values)
    del field[:]
    field.extend(values)
