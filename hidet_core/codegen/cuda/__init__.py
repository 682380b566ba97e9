"""Lowered programs to CUDA C++ text: plain C++ and the named intrinsics of `intrinsics.h`."""

from .emit import INTRINSICS, emit_cuda, kernel_text
from .launch import Launch, launch_of

__all__ = ["INTRINSICS", "Launch", "emit_cuda", "kernel_text", "launch_of"]
