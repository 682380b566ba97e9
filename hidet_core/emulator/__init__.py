"""The emulated CUDA driver: `LIBRARY` in place of libcuda.so.1, `compile_image` in place of NVRTC.

No module of the compiler depends on it; docs/emulator.md is its manual.
"""

from .image import DEVICE_HEADERS, FOLDER, LIBRARY, ImageError, compile_image, compiler

__all__ = ["DEVICE_HEADERS", "FOLDER", "LIBRARY", "ImageError", "compile_image", "compiler"]
