"""The emulated CUDA driver: `LIBRARY` in place of libcuda.so.1, `compile_image` in place of NVRTC.

Of the compiler, only build/emulated.py uses it; docs/emulator.md is its manual.
"""

from .image import DEVICE_HEADERS, FOLDER, LIBRARY, ImageError, compile_image, compiler

__all__ = ["DEVICE_HEADERS", "FOLDER", "LIBRARY", "ImageError", "compile_image", "compiler"]
