"""The tuner: measure schedules in the running graph, keep the better ones."""

from .search import EFFORTS
from .tuner import Progress, TuneOptions, TuneReport, tune_graph, tune_partition

__all__ = ["EFFORTS", "Progress", "TuneOptions", "TuneReport", "tune_graph", "tune_partition"]
