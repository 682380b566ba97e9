"""How a session is run: on NumPy arrays, or on tensors that stay on the GPU.

host: `session.run`; on a GPU, inputs and outputs are copied at every run. device: IOBinding with
tensors made once, so that no copy is measured, and whose addresses stay, which CUDA graphs need;
a run ends when the device has finished. Both are called without arguments and return arrays by
`outputs()`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from hidet_ep.bench.providers import Provider, preload_libraries

DEVICE = "cuda"  # ONNX Runtime's name, of our provider's memory too
FLUSH_FLOATS = 32 << 20  # twice the largest L2 of today, and more


class HostRun:
    """A session and its inputs, as arrays."""

    def __init__(self, session: ort.InferenceSession, feeds: Mapping[str, np.ndarray]) -> None:
        self.session, self.feeds = session, dict(feeds)

    def __call__(self) -> list[np.ndarray]:
        return self.session.run(None, self.feeds)

    def outputs(self) -> list[np.ndarray]:
        return self()


class DeviceRun:
    """A session with its inputs and outputs bound to the GPU's memory. Raises what ONNX Runtime
    does where the provider has none. `outputs`: of how many elements they are is asked of `like`,
    the arrays that another session gives for these inputs.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        feeds: Mapping[str, np.ndarray],
        like: Sequence[np.ndarray],
        device_id: int = 0,
    ) -> None:
        self.session, self.binding = session, session.io_binding()
        where = DEVICE, device_id
        self.inputs = {
            name: ort.OrtValue.ortvalue_from_numpy(array, *where) for name, array in feeds.items()
        }
        self.results = [
            ort.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, *where)
            for array in like
        ]
        for name, value in self.inputs.items():
            self.binding.bind_ortvalue_input(name, value)
        names = [output.name for output in session.get_outputs()]
        for name, value in zip(names, self.results, strict=True):
            self.binding.bind_ortvalue_output(name, value)

    def __call__(self) -> None:
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()

    def outputs(self) -> list[np.ndarray]:
        self()
        return [value.numpy() for value in self.results]


Run = HostRun | DeviceRun


class Flush:
    """Fills the GPU's L2 cache with other data, by a session of the provider on it alone."""

    def __init__(self, provider: Provider, floats: int = FLUSH_FLOATS) -> None:
        preload_libraries(provider)
        wanted = [(provider.name, provider.place)]
        session = ort.InferenceSession(_doubling(floats), providers=wanted, enable_fallback=0)
        feeds = {"x": np.ones(floats, np.float32)}
        self.run = DeviceRun(session, feeds, [feeds["x"]], provider.device_id)

    def __call__(self) -> None:
        self.run()


def _doubling(floats: int) -> bytes:
    """y = x + x"""
    from onnx import TensorProto, helper

    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [floats]) for name in "xy"]
    node: Any = helper.make_node("Add", ["x", "x"], ["y"])
    graph = helper.make_graph([node], "flush", tensors[:1], tensors[1:])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
