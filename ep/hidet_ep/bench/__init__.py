"""Models side by side: any ONNX models on any execution providers, honestly timed.

In: zoo names or model files, provider specs; out: a Report (plain data, JSON both ways), a table.
Every provider's outputs are checked against the first one's before anything is timed; timed runs
are interleaved; session creation is measured in fresh processes. `main` is the command line.
"""

from hidet_ep.bench.cli import main
from hidet_ep.bench.providers import Provider, parse_provider
from hidet_ep.bench.report import Report, geometric_means, markdown_table, text_table
from hidet_ep.bench.runner import Settings, benchmark

__all__ = [
    "Provider",
    "Report",
    "Settings",
    "benchmark",
    "geometric_means",
    "main",
    "markdown_table",
    "parse_provider",
    "text_table",
]
