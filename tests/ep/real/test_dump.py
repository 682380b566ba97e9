"""The provider's options dump_dir and debug reach the compiler."""

import numpy as np
import onnxruntime as ort
from onnx import parser

import hidet_ep

MODEL = """<ir_version: 8, opset_import: ["": 17]>
    dumped (float[n, 8] x) => (float[n, 8] y) { e = Exp(x) y = Softmax(e) }"""


def test_dump_dir_and_debug(tmp_path, capfd):
    model = parser.parse_model(MODEL).SerializeToString()
    options = hidet_ep.provider(dump_dir=str(tmp_path), debug=2)
    session = ort.InferenceSession(model, providers=[options])
    x = np.zeros((3, 8), np.float32)
    assert np.allclose(session.run(None, {"x": x})[0], 1 / 8)
    assert list(tmp_path.glob("dumped-*/kernel_000_*/repro.py"))
    assert "[hidet] dumped-" in capfd.readouterr().err
