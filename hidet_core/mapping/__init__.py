"""Task mappings (Hidet, ASPLOS'23): pure values that say which worker does which tasks, and in
which order.
"""

from .mapping import Compose, Custom, Repeat, Spatial, TaskMapping, custom, repeat, spatial

__all__ = ["Compose", "Custom", "Repeat", "Spatial", "TaskMapping", "custom", "repeat", "spatial"]
