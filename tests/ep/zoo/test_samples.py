"""Inputs of a model: of the right names, types and sizes, the same for the same seed."""

import numpy as np
import onnx
import pytest

from hidet_ep import zoo

FLOAT, INT64, BOOL = (getattr(onnx.TensorProto, t) for t in ("FLOAT", "INT64", "BOOL"))


def model_of(*inputs):
    values = [onnx.helper.make_tensor_value_info(*spec) for spec in inputs]
    return onnx.helper.make_model(onnx.helper.make_graph([], "g", values, []))


def test_types_and_symbolic_sizes():
    model = model_of(("x", FLOAT, ["N", 4]), ("ids", INT64, ["N", "S"]), ("mask", BOOL, [2]))
    arrays = zoo.inputs(model, dims={"N": 3})
    shapes = {name: (array.dtype, array.shape) for name, array in arrays.items()}
    assert shapes == {
        "x": (np.float32, (3, 4)),
        "ids": (np.int64, (3, 1)),
        "mask": (np.bool_, (2,)),
    }
    assert arrays["ids"].min() >= 0


def test_seeds():
    model = model_of(("x", FLOAT, [5]))
    first, again, other = (zoo.inputs(model, seed)["x"] for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_images_have_a_pattern_that_an_average_pool_keeps():
    image = zoo.inputs(model_of(("x", FLOAT, [1, 3, 70, 50])))["x"]
    assert image.shape == (1, 3, 70, 50)
    assert image.std() == pytest.approx(1.0, abs=0.2)
    assert image[0, 0, :16, :16].mean() != pytest.approx(image[0, 0, 16:32, :16].mean(), abs=0.1)


def test_initializers_are_no_inputs():
    model = model_of(("x", FLOAT, [2]), ("w", FLOAT, [2]))
    model.graph.initializer.append(onnx.helper.make_tensor("w", FLOAT, [2], [1, 2]))
    assert set(zoo.inputs(model)) == {"x"}


def test_an_input_without_a_shape_is_an_error():
    with pytest.raises(ValueError, match="'x' has no shape"):
        zoo.inputs(model_of(("x", FLOAT, None)))
