"""hidet_core as the partitioner sees it: explain a node, compile a group of nodes."""

from __future__ import annotations

from collections.abc import Sequence

import hidet_core
from hidet_core import CompiledPartition, CompileOptions, OnnxGraph, OnnxNode, TuneOptions
from hidet_ep.options import Options
from hidet_ep.settings import compile_options, tune_options
from hidet_ep.tuning import tune_nodes


class CoreCompiler:
    """Holds the compile options of one session. tune: None for tuning=off."""

    def __init__(self, options: CompileOptions, tune: TuneOptions | None = None) -> None:
        self.options = options
        self.tune = tune

    def explain(self, graph: OnnxGraph, node: OnnxNode) -> str | None:
        return hidet_core.explain_node(graph, node)

    def compile(
        self,
        graph: OnnxGraph,
        node_ids: Sequence[int],
        inputs: Sequence[str],
        outputs: Sequence[str],
    ) -> CompiledPartition:
        if self.tune is not None:
            tune_nodes(graph, node_ids, inputs, outputs, self.options, self.tune)
        return hidet_core.compile_partition(graph, node_ids, inputs, outputs, self.options)


def make_compiler(options: Options) -> CoreCompiler:
    """The compiler for a session with these options."""
    return CoreCompiler(compile_options(options), tune_options(options))
