"""Registers the plugin library with ONNX Runtime, once per process.

Invariants: `register` may be called any number of times from any threads; the library is given its
compiler (the functions of handover.py) before ONNX Runtime sees it; it is never unregistered,
because sessions may be alive until the interpreter ends.
"""

from __future__ import annotations

import atexit
import threading
from pathlib import Path

from hidet_ep import _bridge, handover
from hidet_ep.options import PROVIDER_NAME

MINIMUM_ONNXRUNTIME = (1, 27)

_lock = threading.Lock()
_connected = False


def get_library_path() -> str:
    """The plugin library: what onnxruntime.register_execution_provider_library wants."""
    path = Path(__file__).with_name("libhidet_ep.so")
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: build it with `pip install -e .`")
    return str(path)


def get_ep_name() -> str:
    """The name for `providers=[...]`."""
    return PROVIDER_NAME


def get_ep_names() -> list[str]:
    """All provider names of the library (there is one)."""
    return [PROVIDER_NAME]


def register() -> None:
    """Make "HidetEP" known to ONNX Runtime; importing hidet_ep does it.

    Raises ImportError if onnxruntime is missing or too old, onnxruntime's own error if it refuses.
    """
    try:
        import onnxruntime
    except ImportError as error:
        wanted = ".".join(map(str, MINIMUM_ONNXRUNTIME))
        raise ImportError(f"HidetEP needs onnxruntime {wanted} or newer, none is here") from error
    _check_version(onnxruntime.__version__)
    with _lock:
        _connect()
        devices = onnxruntime.get_ep_devices()
        if not any(device.ep_name == PROVIDER_NAME for device in devices):
            onnxruntime.register_execution_provider_library(PROVIDER_NAME, get_library_path())


def register_if_possible() -> None:
    """`register`, unless there is no onnxruntime: get_library_path() is of use without it."""
    try:
        import onnxruntime  # noqa: F401
    except ModuleNotFoundError:
        return
    register()


def _check_version(version: str) -> None:
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < MINIMUM_ONNXRUNTIME:
        wanted = ".".join(map(str, MINIMUM_ONNXRUNTIME))
        raise ImportError(f"HidetEP needs onnxruntime {wanted} or newer, this is {version}")


def _connect() -> None:
    global _connected
    if _connected:
        return
    _bridge.connect(get_library_path(), handover.settle, handover.partition)
    atexit.register(_bridge.disconnect)
    _connected = True
