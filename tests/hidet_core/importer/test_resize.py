"""Resize and Upsample against ONNX Runtime: modes, transforms, policies, ties, symbolic sizes."""

import numpy as np
import pytest

from hidet_core.graph.reference import run_graph
from tests.hidet_core.importer.networks import Net
from tests.hidet_core.importer.one_node import Case, check, import_model, one_node_model, run_ort
from tests.hidet_core.importer.test_explain import reason

TRANSFORMS = (
    "asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners", "half_pixel_symmetric",
)  # fmt: skip
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
LOOSE = {"rtol": 1e-4, "atol": 1e-5}


def scaled(x, *scales, opset=19, roi=None, **attrs):
    inputs = [x, roi, np.array(scales, np.float32)]
    return Case("Resize", opset, inputs, attrs, (1, 2), note=f"{x} {scales}", **LOOSE)


def sized(x, *sizes, opset=19, roi=None, **attrs):
    inputs = [x, roi, None, np.array(sizes, np.int64)]
    return Case("Resize", opset, inputs, attrs, (1, 3), note=f"{x} {sizes}", **LOOSE)


def crop(x, sizes, region, **attrs):
    roi, mode = np.array(region, np.float32), "tf_crop_and_resize"
    return sized(x, *sizes, roi=roi, coordinate_transformation_mode=mode, **attrs)


CASES = [
    *(
        scaled((1, 2, 5, 6), 1, 1, 2.6, 0.7, mode=mode, coordinate_transformation_mode=transform)
        for mode in ("nearest", "linear", "cubic")
        for transform in TRANSFORMS
    ),
    *(sized((2, 1, 7, 6), 2, 1, 4, 12, nearest_mode=rounding,
            coordinate_transformation_mode="asymmetric") for rounding in ROUNDINGS),
    sized((1, 2, 5, 4), 1, 2, 1, 1, mode="linear", coordinate_transformation_mode="align_corners"),
    sized((1, 2, 5, 4), 1, 2, 1, 3, mode="cubic",
          coordinate_transformation_mode="pytorch_half_pixel"),
    scaled((2, 3, 4), 1, 1, 1.5, mode="linear"),
    scaled((1, 2, 3, 4, 3), 1, 1, 2, 0.5, 1.5, mode="linear"),
    scaled((1, 2, 5, 6), 1, 1, 1.4, 0.6, mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1),
    scaled((1, 2, 9, 8), 1, 1, 0.3, 0.7, mode="linear", antialias=1),
    scaled((1, 2, 9, 8), 1, 1, 0.4, 1.5, mode="cubic", antialias=1),
    sized((1, 2, 9, 7), 1, 2, 4, 3, mode="cubic", antialias=1, exclude_outside=1),
    crop((1, 2, 6, 5), (1, 2, 4, 7), [0, 0, 0.2, -0.3, 1, 1, 0.8, 1.2], mode="linear",
         extrapolation_value=7.0),
    crop((1, 2, 6, 5), (1, 2, 1, 4), [0, 0, 0.2, 0.6, 1, 1, 0.8, 0.1], mode="nearest"),
    sized((1, 2, 6, 4), 3, 5, opset=19, axes=[3, 2], keep_aspect_ratio_policy="not_larger"),
    sized((1, 2, 6, 4), 7, 5, opset=19, axes=[2, 3], keep_aspect_ratio_policy="not_smaller",
          mode="linear"),
    *(Case("Resize", 10, [(1, 1, 7, 5), np.array([1, 1, a, b], np.float32)], {"mode": mode}, (1,),
           note=f"{a} {b}") for a, b in ((0.6, 2), (2.5, 0.9)) for mode in ("nearest", "linear")),
    Case("Upsample", 7, [(1, 2, 3, 4)], {"scales": [1.0, 1.0, 1.5, 2.0], "mode": "linear"}),
    Case("Upsample", 9, [(1, 2, 3, 4), np.array([1, 1, 2, 2.5], np.float32)], {}, (1,)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_matches_onnx_runtime(case):
    check(case)


@pytest.mark.parametrize("scales", [(2, 2), (0.5, 1.5), (2.5, 0.75)], ids=str)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_symbolic_images(mode, scales):
    """One import, right at every size; coordinates are computed at run time."""
    for transform in TRANSFORMS:
        case = scaled((1, 2, 5, 7), 1, 1, *scales, mode=mode,
                      coordinate_transformation_mode=transform)  # fmt: skip
        model = one_node_model(case, case.arrays(), [("n", 2, "h", "w"), None, (4,)])
        graphs = import_model(model)
        for shape in ((1, 2, 5, 7), (2, 2, 4, 3), (1, 2, 2, 9)):
            x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
            (expected,) = run_ort(model, {"x0": x})
            for graph in graphs:
                found = run_graph(graph, {"x0": x})["y0"]
                np.testing.assert_allclose(found, expected, 1e-4, 1e-5)


@pytest.mark.parametrize(
    ("case", "dims", "expected"),
    [
        (scaled((1, 1, 4, 4), 1, 1, 0.3, 1), ["n", 1, "h", 4], "a scale of 0.3"),
        (scaled((1, 1, 4, 4), 1, 1, 0.5, 1, mode="linear", antialias=1), ["n", 1, "h", 4],
         "antialias along axis 2"),
        (sized(np.ones((1, 1, 4, 4), np.int32), 1, 1, 6, 6, mode="linear"), None, "mode linear of"),
        (scaled((1, 1, 4, 4), 1, 1, 2, mode="linear"), None, "do not fit 4 axes"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_left_to_onnx_runtime(case, dims, expected):
    arrays = case.arrays()
    shapes = dims and [dims, *(None if a is None else a.shape for a in arrays[1:])]
    assert expected in reason(case, shapes)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_images_stay_channel_last(mode):
    """Between two convolutions nothing is transposed."""
    net = Net(1, 3, 5, 6, opset=19)
    scales = net.const(np.array([1, 1, 1.5, 2], np.float32))
    x = net.op("Resize", net.conv("x", 4, 3, 3, 3), "", scales, mode=mode)
    (_, graph) = import_model(net.model(net.conv(x, 2, 4, 3, 3)))
    order = [operator.op.name for operator in graph.operators]
    first, last = (k for k, name in enumerate(order) if name == "conv2d")
    assert "transpose" not in order[first:last]
