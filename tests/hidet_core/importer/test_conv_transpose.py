"""ConvTranspose against ONNX Runtime: strides, paddings of all kinds, groups; its phases."""

import pytest

from hidet_core.importer.conv_transpose import find_phases
from tests.hidet_core.importer.one_node import Case, check


def case(x, w, bias=True, constant=True, **attrs):
    """w: [C, O/groups, *kernel]."""
    inputs = [x, w, (w[1] * attrs.get("group", 1),)] if bias else [x, w]
    constants = tuple(range(1, len(inputs))) if constant else ()
    note = f"{x} {w}{'' if constant else ' computed weights'}"
    return Case("ConvTranspose", 11, inputs, attrs, constants, rtol=1e-4, atol=1e-5, note=note)


CASES = [
    case((2, 3, 4, 5), (3, 4, 3, 3)),
    case((1, 3, 4, 5), (3, 2, 3, 2), bias=False, dilations=[2, 3], pads=[1, 0, 2, 1]),
    case((1, 3, 4, 5), (3, 2, 2, 2), strides=[2, 2]),
    case((1, 3, 4, 5), (3, 2, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1]),
    case((1, 3, 4, 5), (3, 2, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    case((1, 4, 3, 4), (4, 3, 3, 5), group=2, strides=[3, 2], pads=[0, 2, 1, 1]),
    case((1, 4, 3, 4), (4, 1, 3, 3), group=4, strides=[2, 1], constant=False),
    case((1, 2, 3, 4), (2, 2, 3, 2), strides=[2, 3], dilations=[2, 2], output_padding=[1, 2]),
    case((1, 2, 3, 3), (2, 2, 1, 2), strides=[3, 4], output_shape=[8, 12]),
    case((1, 2, 3, 3), (2, 2, 3, 3), strides=[2, 2], output_shape=[8, 6], auto_pad="SAME_UPPER"),
    case((1, 2, 4, 3), (2, 2, 4, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
    case((1, 2, 4, 3), (2, 2, 3, 3), strides=[1, 2], auto_pad="VALID", output_padding=[0, 1]),
    case((1, 1, 5, 5), (1, 1, 2, 2), pads=[3, 2, 0, 1]),
    case((2, 3, 7), (3, 2, 4), strides=[2], pads=[1, 1]),
    case((2, 4, 7), (4, 1, 3), group=4, strides=[3]),
    case((1, 2, 2, 3, 4), (2, 3, 3, 2, 3), strides=[2, 1, 2], pads=[1, 0, 1, 1, 1, 0]),
    case((1, 2, 2, 3, 2), (2, 2, 2, 3, 2), group=2, dilations=[1, 2, 1], constant=False),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_matches_onnx_runtime(case):
    check(case)


@pytest.mark.parametrize("before", [0, 1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("taps", [1, 2, 3, 4])
def test_phases_are_the_taps_that_meet(taps, stride, dilation, before):
    """Every tap is in one phase, and input q + offset meets it at the output it should."""
    axis = find_phases(taps, stride, dilation, before, beyond=0)
    met = {}
    for row, phases in enumerate(axis.table):
        for phase, tap in enumerate(phases):
            if tap is not None:
                offset = axis.first + row * axis.dilation
                met[tap] = offset * stride + tap * dilation - before == phase - axis.shift
    assert met == dict.fromkeys(range(taps), True)


@pytest.mark.parametrize(("taps", "before", "rows", "shift"), [(2, 0, 1, 0), (3, 1, 2, 0),
                                                               (4, 1, 2, 1)])  # fmt: skip
def test_upsampling_by_two_multiplies_no_more_than_it_must(taps, before, rows, shift):
    axis = find_phases(taps, 2, 1, before, beyond=0)
    assert (len(axis.table), axis.shift) == (rows, shift)
