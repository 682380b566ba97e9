"""Elementary functions as vector code of our own: any lanes, no calls out of the kernel."""

from .library import call

__all__ = ["call"]
