"""CUDA C++ text to the bytes of an image for the emulated driver, with g++ (hidet_core/emulator)."""

from __future__ import annotations

import functools
import subprocess

from hidet_core.base.errors import Unsupported
from hidet_core.base.hashing import stable_hash
from hidet_core.emulator import compile_image, compiler
from hidet_core.emulator.image import DEVICE_HEADERS, ImageError


@functools.cache
def toolchain() -> str:
    """Which g++ and which headers of the device these are, for keys. Raises Unsupported where g++
    is not installed.
    """
    gxx = compiler()
    if gxx is None:
        raise Unsupported("the emulated CUDA device", "g++ is not installed")
    version = subprocess.run([gxx, "-dumpfullversion"], capture_output=True, text=True, check=False)
    headers = [path.read_bytes() for path in sorted(DEVICE_HEADERS.glob("*.h"))]
    return f"g++ {version.stdout.strip()} {stable_hash(headers)}"


def translate(text: str) -> bytes:
    """The image of a source. Raises ValueError with what g++ said."""
    try:
        return compile_image(text)
    except ImageError as error:
        raise ValueError(str(error)) from error
