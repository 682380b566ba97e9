"""GroupQueryAttention in one session at many sizes: empty, growing and shared caches, rows of other
lengths than the longest.
"""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from tests.ep.models import node
from tests.ep.real.sessions import CPU, open_session

HEADS, GROUPS, WIDTH, POSITIONS = 4, 2, 16, 64
FLOAT, INT32, INT64 = (onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64)
# batch, new, rows of the past, keys in all, the last key of each row
RUNS = [
    (2, 5, 0, 5, (4, 2)),
    (2, 1, 6, 7, (6, 3)),
    (1, 3, 6, 9, (8,)),
    (2, 1, 30, 21, (20, 9)),
    (2, 5, 12, 5, (4, 4)),
]


def model(**attributes):
    attributes |= {"num_heads": HEADS, "kv_num_heads": GROUPS}
    inputs = ["q", "k", "v", "old_k", "old_v", "last", "total", "cos", "sin"]
    attention = helper.make_node(
        "GroupQueryAttention", inputs, ["y", "new_k", "new_v"], domain="com.microsoft",
        **attributes,
    )  # fmt: skip
    nodes = [
        node("Shape", ["mask"], ["shape"], start=1),
        node("Squeeze", ["shape"], ["size"]),
        node("Cast", ["size"], ["total"], to=INT32),
        attention,
    ]
    cache, wide = ["B", GROUPS, "P", WIDTH], ["B", "S", GROUPS * WIDTH]
    shapes = {"q": ["B", "S", HEADS * WIDTH], "k": wide, "v": wide, "old_k": cache, "old_v": cache}
    given = [helper.make_tensor_value_info(name, FLOAT, dims) for name, dims in shapes.items()]
    given.append(helper.make_tensor_value_info("last", INT32, ["B"]))
    given.append(helper.make_tensor_value_info("mask", INT64, ["B", "T"]))
    kept = [helper.make_tensor_value_info(n, FLOAT, ["B", GROUPS, "N", WIDTH])
            for n in ("new_k", "new_v")]  # fmt: skip
    result = helper.make_tensor_value_info("y", FLOAT, ["B", "S", HEADS * WIDTH])
    angles = np.arange(POSITIONS)[:, None] * 0.3 ** np.arange(WIDTH // 2)
    tables = [
        numpy_helper.from_array(function(angles).astype(np.float32), name)
        for name, function in (("cos", np.cos), ("sin", np.sin))
    ]
    graph = helper.make_graph(nodes, "g", given, [result, *kept], tables)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def feeds_of(batch, new, past, total, last):
    rng = np.random.default_rng(new + past)
    rows = {"q": HEADS, "k": GROUPS, "v": GROUPS}
    feeds = {name: rng.standard_normal((batch, new, n * WIDTH)) for name, n in rows.items()}
    for name in ("old_k", "old_v"):
        feeds[name] = rng.standard_normal((batch, GROUPS, past, WIDTH))
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    return feeds | {"last": np.array(last, np.int32), "mask": np.ones((batch, total), np.int64)}


@pytest.mark.parametrize("attributes", [{"do_rotary": 1}, {"local_window_size": 4, "softcap": 2.0}])
def test_sizes(attributes):
    """Rows behind a batch's last key are undefined."""
    made = model(**attributes)
    mine, reference = open_session(made), ort.InferenceSession(made, providers=[CPU])
    for run in RUNS:
        found, wanted = (session.run(None, feeds_of(*run)) for session in (mine, reference))
        for b, last in enumerate(run[-1]):
            parts = [(np.s_[b, : min(run[1], last + 1)]), *[np.s_[b, :, : last + 1]] * 2]
            for part, left, right in zip(parts, found, wanted, strict=True):
                assert left.shape == right.shape
                np.testing.assert_allclose(left[part], right[part], 1e-4, 1e-5, err_msg=str(run))
