"""A light model of the onnx wheel -> the same network with seeded weights, batch and image size.

before:  w = ConstantOfShape(shape);  y = Conv(x, w, b)      b, shape: initializers and graph inputs
after:   y = Conv(x, w, b)                                   w, b: constant initializers (IR >= 8)

Every parameter of a Conv, Gemm, BatchNormalization or per-channel scale is drawn anew, the few
trained ones included: trained statistics beside random filters would blow activations up.
"""

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
IMAGE_STEP = 32  # what these networks divide an image by before their last pooling

# last pooling and flattening sizes come from the image size; the other nets allow only 224
RESIZABLE = {"densenet121", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19"}


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
    if image != FULL_IMAGE and name not in RESIZABLE:
        raise ValueError(f"{name} takes images of {FULL_IMAGE} only, not {image}")
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
    for shape, data in _activation_reshapes(graph, given):  # each has a shape of its own
        dims = _reshaped(numpy_helper.to_array(shape), image)
        shape.CopyFrom(numpy_helper.from_array(dims, shape.name))
        _shrink_gemm(graph, given, data, int(dims[-1]))
    if image != FULL_IMAGE:
        _resize_last_pool(graph, image)


def _set_batch(dim: onnx.TensorShapeProto.Dimension, batch: int | str) -> None:
    if isinstance(batch, str):
        dim.dim_param = batch
    else:
        dim.dim_value = batch


def _activation_reshapes(
    graph: onnx.GraphProto, given: dict[str, onnx.TensorProto]
) -> Iterator[tuple[onnx.TensorProto, str]]:
    """(target shape, result) of the Reshapes of activations, which begin with the batch."""
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[0] not in given:
            yield given[node.input[1]], node.output[0]


def _reshaped(dims: np.ndarray, image: int) -> np.ndarray:
    """[1, c, h, w] -> [0, c, h', w'];  [1, c * 7 * 7] -> [0, c * h' * w'], 0 = as it comes in."""
    dims = dims.copy()
    dims[0] = 0
    if len(dims) > 2:
        dims[-2:] = dims[-2:] * image // FULL_IMAGE
    elif image != FULL_IMAGE and dims[1] % 49 == 0:
        dims[1] = dims[1] // 49 * (image // IMAGE_STEP) ** 2
    return dims


def _shrink_gemm(
    graph: onnx.GraphProto, given: dict[str, onnx.TensorProto], data: str, width: int
) -> None:
    """The Gemm behind a flattening gets as many columns as the flattened image has."""
    for node in graph.node:
        if node.op_type == "Gemm" and node.input[0] == data and node.input[1] in given:
            given[node.input[1]].dims[1] = width


def _resize_last_pool(graph: onnx.GraphProto, image: int) -> None:
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "AveragePool" else ():
            if attribute.name == "kernel_shape" and list(attribute.ints) == [7, 7]:
                _assign(attribute.ints, [image // IMAGE_STEP] * 2)


def _assign(field, values) -> None:
    values = list(values)
    del field[:]
    field.extend(values)
