"""A YOLO-style detector (v5's heads, v8's C2f blocks) as torch exports it, without the NMS.

In: image size (a multiple of 32, or symbols), batch, the share of channels; out: an
onnx.ModelProto of one input [batch, 3, height, width] and one output: boxes [batch, boxes, 5 +
classes], in pixels.
"""

from __future__ import annotations

import numpy as np
import onnx

from hidet_ep.zoo.convnet import ConvNet
from hidet_ep.zoo.layers import dim, target
from hidet_ep.zoo.nodes import Size

ANCHORS = {
    8: ((10, 13), (16, 30), (33, 23)),
    16: ((30, 61), (62, 45), (59, 119)),
    32: ((116, 90), (156, 198), (373, 326)),
}  # by stride: width and height


def yolo(
    image: Size | tuple[Size, Size] = 640,
    batch: Size = 1,
    share: float = 0.5,
    classes: int = 80,
    dtype: str = "float32",
    seed: int = 0,
) -> onnx.ModelProto:
    net = ConvNet("yolo", batch, image, share, seed, dtype)
    x = _conv(net, _conv(net, net.input, 64, 3, 2), 128, 3, 2)
    eighth = _c2f(net, _conv(net, _c2f(net, x, 128), 256, 3, 2), 256)
    sixteenth = _c2f(net, _conv(net, eighth, 512, 3, 2), 512)
    last = _sppf(net, _c2f(net, _conv(net, sixteenth, 512, 3, 2), 512), 512)
    # features go up to the larger images, then down again
    middle = _c2f(net, net.concat(_doubled(net, last), sixteenth), 512)
    fine = _c2f(net, net.concat(_doubled(net, middle), eighth), 256)
    middle = _c2f(net, net.concat(_conv(net, fine, 256, 3, 2), middle), 512)
    coarse = _c2f(net, net.concat(_conv(net, middle, 512, 3, 2), last), 512)
    features = zip((8, 16, 32), (fine, middle, coarse), strict=True)
    boxes = [_head(net, x, stride, 5 + classes) for stride, x in features]
    found = net.nodes.op("Concat", *boxes, axis=1)
    rows, cols = net.image
    is_static = isinstance(rows, int) and isinstance(cols, int)
    count = 3 * sum(rows // s * (cols // s) for s in ANCHORS) if is_static else "boxes"
    return net.nodes.model({"boxes": (found, (batch, count, 5 + classes))})


def _conv(net: ConvNet, x: str, out: int, kernel: int = 1, stride: int = 1) -> str:
    return net.silu(net.conv(x, net.scaled(out), kernel, stride=stride))


def _c2f(net: ConvNet, x: str, out: int) -> str:
    """Half of the channels go through a bottleneck, all are joined."""
    y = _conv(net, x, out)
    half = net.channels[y] // 2
    n = net.nodes
    parts = n.ops("Split", 2, y, n.ints(half, net.channels[y] - half), axis=1)
    net.channels.update({parts[0]: half, parts[1]: net.channels[y] - half})
    net.variance.update(dict.fromkeys(parts, net.variance[y]))
    inner = net.silu(net.conv(parts[1], half, 3))
    inner = net.silu(net.conv(inner, net.channels[parts[1]], 3))
    return _conv(net, net.concat(*parts, net.then("Add", parts[1], inner)), out)


def _sppf(net: ConvNet, x: str, out: int) -> str:
    """Maxima over windows of 5, 9 and 13, each pooled from the one before."""
    pooled = [_conv(net, x, out // 2)]
    for _ in range(3):
        pooled.append(net.pool("MaxPool", pooled[-1], 1, 2, kernel=5))
    return _conv(net, net.concat(*pooled), out)


def _doubled(net: ConvNet, x: str) -> str:
    """Each pixel four times."""
    scales = net.nodes.const(np.array([1, 1, 2, 2], np.float32), "scales")
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return net.then("Resize", x, "", scales, mode="nearest", **how)


def _head(net: ConvNet, x: str, stride: int, width: int) -> str:
    """Boxes of one level, [batch, anchors * rows * cols, width]: centres relative to the cell that
    they are in, sizes relative to the anchor.
    """
    n, anchors = net.nodes, ANCHORS[stride]
    raw = net.conv(x, len(anchors) * width)
    rows, cols = (_cells(net, raw, axis, stride) for axis in (2, 3))
    batch = dim(n, raw, 0, net.batch)
    raw = n.op("Reshape", raw, target(n, batch, len(anchors), width, rows, cols))
    y = n.op("Sigmoid", n.op("Transpose", raw, perm=[0, 1, 3, 4, 2]))
    centre, size, scores = n.ops("Split", 3, y, n.ints(2, 2, width - 4), axis=4)
    centre = n.op("Mul", centre, n.scalar(2.0))
    centre = n.op("Add", centre, _grid(net, rows, cols))
    centre = n.op("Mul", centre, n.scalar(float(stride)))
    size = n.op("Pow", n.op("Mul", size, n.scalar(2.0)), n.scalar(2.0))
    shape = np.array(anchors, n.dtype).reshape(1, len(anchors), 1, 1, 2)
    size = n.op("Mul", size, n.const(shape, "anchors"))
    boxes = n.op("Concat", centre, size, scores, axis=4)
    return n.op("Reshape", boxes, target(n, batch, -1, width))


def _cells(net: ConvNet, x: str, axis: int, stride: int) -> int | str:
    size = net.image[axis - 2]
    return size // stride if isinstance(size, int) else dim(net.nodes, x, axis, size)


def _grid(net: ConvNet, rows: int | str, cols: int | str) -> str:
    """(column, row) of each cell less a half, [1, 1, rows, cols, 2]."""
    n = net.nodes
    if isinstance(rows, int) and isinstance(cols, int):
        y, x = np.mgrid[:rows, :cols]
        return n.const(np.stack((x, y), -1)[None, None].astype(n.dtype) - n.dtype.type(0.5), "grid")
    steps = [_count(net, size) for size in (rows, cols)]
    y, x = (
        n.op("Expand", n.op("Reshape", step, n.ints(*shape)), target(n, rows, cols))
        for step, shape in zip(steps, ((-1, 1), (1, -1)), strict=True)
    )
    pair = n.op("Concat", *(n.op("Unsqueeze", v, n.ints(2)) for v in (x, y)), axis=2)
    grid = n.op("Sub", pair, n.scalar(0.5))
    return n.op("Unsqueeze", grid, n.ints(0, 1))


def _count(net: ConvNet, size: int | str) -> str:
    """0, 1, ... below a size, as floats."""
    n = net.nodes
    if isinstance(size, int):
        return n.const(np.arange(size).astype(n.dtype), "steps")
    zero, one = n.const(np.int64(0), "zero"), n.const(np.int64(1), "one")
    steps = n.op("Range", zero, n.op("Squeeze", size, n.ints(0)), one)
    return n.op("Cast", steps, to=onnx.helper.np_dtype_to_tensor_dtype(n.dtype))
