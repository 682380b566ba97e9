"""Sampling at computed places, regions, columns and unpooling against ONNX Runtime."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from hidet_core.graph.reference import run_graph
from tests.hidet_core.importer.one_node import Case, check, import_model, one_node_model

LOOSE = {"rtol": 1e-3, "atol": 1e-4}


def ints(*values):
    return np.array(values, np.int64)


def uniform(low, high, *shape):
    return np.random.default_rng(7).uniform(low, high, shape).astype(np.float32)


def grid(x, *out, far=1.6, opset=20, **attrs):
    places = uniform(-far, far, x[0], *out, len(x) - 2)
    return Case("GridSample", opset, [x, places], attrs, note=f"{x} {out} {far}", **LOOSE)


PADDINGS = ("zeros", "border", "reflection")
GRIDS = [
    *(
        grid((2, 3, 5, 4), 3, 6, mode=mode, padding_mode=padding, align_corners=aligned)
        for mode in ("nearest", "linear", "cubic")
        for padding in PADDINGS
        for aligned in (0, 1)
    ),
    *(grid((1, 2, 3, 4, 5), 2, 3, 2, mode=mode, padding_mode=padding, align_corners=1)
      for mode in ("nearest", "linear") for padding in PADDINGS),
    *(grid((1, 2, 4, 3), 5, 2, far=300, mode="linear", padding_mode=padding)
      for padding in PADDINGS),
    grid((1, 2, 4, 3), 5, 2, opset=16, mode="bilinear"),
    grid((1, 2, 1, 3), 5, 2, mode="linear", padding_mode="reflection", align_corners=1),
    grid((1, 2, 1, 3), 5, 2, opset=16, mode="bicubic", padding_mode="border"),
]  # fmt: skip


def deform(x, w, out, masked=False, **attrs):
    taps = w[2] * w[3] * attrs.get("offset_group", 1)
    inputs = [x, w, (x[0], taps * 2, *out)]
    inputs += [(w[0],), (x[0], taps, *out)] if masked else []
    return Case("DeformConv", 19, inputs, attrs, note=f"{x} {w}", **LOOSE)


CORNERS = uniform(-3, 9, 4, 2)
REGIONS = np.concatenate([CORNERS, CORNERS + uniform(-1, 7, 4, 2)], axis=1)
BATCH = ints(1, 0, 1, 1)
ROI = {"output_height": 2, "output_width": 3, "sampling_ratio": 2, "spatial_scale": 0.7}
OTHERS = [
    Case("AffineGrid", 20, [(2, 2, 3), ints(2, 3, 4, 5)], {"align_corners": 1}, (1,)),
    Case("AffineGrid", 20, [(2, 2, 3), ints(2, 3, 4, 5)], {}, (1,)),
    Case("AffineGrid", 20, [(1, 3, 4), ints(1, 2, 3, 2, 4)], {"align_corners": 1}, (1,)),
    deform((2, 4, 5, 6), (6, 4, 3, 3), (3, 4)),
    deform((1, 4, 5, 6), (4, 2, 2, 3), (3, 3), True, group=2, offset_group=2, strides=[1, 2],
           pads=[0, 1, 0, 1], dilations=[2, 1]),
    *(Case("RoiAlign", 10, [(2, 3, 7, 6), REGIONS, BATCH], ROI | {"mode": mode})
      for mode in ("avg", "max")),
    Case("RoiAlign", 16, [(2, 3, 7, 6), REGIONS, BATCH], ROI),
    Case("MaxRoiPool", 1, [(2, 3, 7, 6), np.c_[BATCH, REGIONS].astype(np.float32)],
         {"pooled_shape": [2, 3], "spatial_scale": 0.7}),
    Case("MaxUnpool", 11, [(1, 2, 2, 2), ints(5, 7, 9, 10, 16, 21, 26, 31).reshape(1, 2, 2, 2)],
         {"kernel_shape": [2, 2], "strides": [2, 2]}),
    Case("MaxUnpool", 11, [(1, 1, 2, 2), ints(5, 7, 19, 12).reshape(1, 1, 2, 2), ints(1, 1, 5, 4)],
         {"kernel_shape": [2, 2], "strides": [2, 2]}, (2,)),
    *(Case("Det", 11, [(*batch, n, n)], **LOOSE) for n, batch in ((1, (3,)), (2, ()), (3, (2, 2)),
                                                                 (4, (3,)))),
]  # fmt: skip


@pytest.mark.parametrize("case", [*GRIDS, *OTHERS], ids=str)
def test_matches_onnx_runtime(case):
    check(case)


@pytest.mark.parametrize(
    ("image", "kernel", "blocks", "attrs"),
    [
        ((6,), (2,), 3, {"strides": [2], "dilations": [2], "pads": [1, 1]}),
        ((5, 4), (2, 3), 8, {"strides": [1, 1]}),
        ((5, 6), (2, 2), 6, {"strides": [2, 2], "dilations": [1, 2], "pads": [0, 1, 0, 0]}),
        ((3, 4, 3), (2, 2, 1), 12, {"strides": [1, 2, 1]}),
    ],
)
def test_col2im_is_that_of_the_standard(image, kernel, blocks, attrs):
    """ONNX Runtime is wrong for several channels of one or three axes."""
    x = (2, 3 * int(np.prod(kernel)), blocks)
    case = Case("Col2Im", 18, [x, ints(*image), ints(*kernel)], attrs, (1, 2))
    model = one_node_model(case, case.arrays())
    feeds = {"x0": case.arrays()[0]}
    model.graph.output[0].type.tensor_type.elem_type = 1
    (expected,) = ReferenceEvaluator(model).run(None, feeds)
    for graph in import_model(model):
        np.testing.assert_allclose(run_graph(graph, feeds)["y0"], expected, 1e-4, 1e-5)
