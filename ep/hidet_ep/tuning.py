"""Tuning while a session is created: options tuning, tuning_sizes.

`watch(tell)` lets whoever creates sessions in a thread (the command line) see how it goes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hidet_core import (
    CompileOptions,
    OnnxGraph,
    TuneOptions,
    TuneProgress,
    TuneReport,
    Unsupported,
    tune_partition,
)

log = logging.getLogger("hidet_ep.tuning")
_watching = threading.local()


@dataclass
class Watcher:
    """tell: is called after every step. reports: one for each partition that was tuned.
    interrupted: by Ctrl-C, after which nothing more is tuned.
    """

    tell: Callable[[TuneProgress], None]
    reports: list[TuneReport] = field(default_factory=list)
    interrupted: bool = False


@contextmanager
def watch(tell: Callable[[TuneProgress], None]) -> Iterator[Watcher]:
    """What becomes of all partitions that this thread tunes inside the block. Ctrl-C ends the
    tuning, not the session's creation.
    """
    _watching.watcher = watcher = Watcher(tell)
    try:
        yield watcher
    finally:
        _watching.watcher = None


def tune_nodes(
    graph: OnnxGraph,
    node_ids: Sequence[int],
    inputs: Sequence[str],
    outputs: Sequence[str],
    options: CompileOptions,
    tune: TuneOptions,
) -> None:
    """Search for schedules of a partition; what is found is in the user's table afterwards. Where
    there is nothing to search the log says why, and the session is compiled as without.
    """
    watched: Watcher | None = getattr(_watching, "watcher", None)
    watcher = watched or Watcher(lambda progress: None)
    if watcher.interrupted:
        return
    try:
        report = tune_partition(graph, node_ids, inputs, outputs, options, tune, watcher.tell)
    except KeyboardInterrupt:
        if watched is None:
            raise
        watcher.interrupted = True
        return
    except Unsupported as error:
        log.warning("%s: not tuned: %s", graph.name, error.why)
        return
    watcher.reports.append(report)
    log.info(
        "%s: tuned in %.1f s: %d of %d problems changed, %.3f of the time",
        graph.name,
        report.seconds,
        len(report.changed),
        report.problems,
        report.ratio,
    )
