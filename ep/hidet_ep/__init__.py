"""HidetEP: ONNX graphs compiled by task mappings, as an ONNX Runtime execution provider.

    import onnxruntime as ort, hidet_ep                     # the import registers the provider
    session = ort.InferenceSession("model.onnx", providers=["HidetEP"])

Options are given as ("HidetEP", {"key": "value"}); hidet_ep.provider(key=value) makes that pair and
checks it. Names below follow ONNX Runtime's packaging guide for plugin providers.
"""

from hidet_ep._version import __version__
from hidet_ep.options import Options
from hidet_ep.registration import (
    get_ep_name,
    get_ep_names,
    get_library_path,
    register,
    register_if_possible,
)
from hidet_ep.settings import provider

__all__ = [
    "Options",
    "__version__",
    "get_ep_name",
    "get_ep_names",
    "get_library_path",
    "provider",
    "register",
]

register_if_possible()
