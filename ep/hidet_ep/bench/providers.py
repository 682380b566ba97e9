"""A provider as the user writes it -> a session on it.

In: "cpu", "HidetEP", "HidetEP:target=cpu,tuning=off"; out: a Provider (name, options, label) and
sessions of it that fail, rather than fall back silently, when the provider is missing.
"""

from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

ALIASES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "hidet": "HidetEP",
}
LABELS = {"CPUExecutionProvider": "CPU", "CUDAExecutionProvider": "CUDA"}
ERRORS_ONLY = 3


@dataclass(frozen=True)
class Provider:
    """One execution provider with its options. Its text is what parse_provider takes."""

    name: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        options = ",".join(f"{key}={value}" for key, value in self.options)
        return f"{self.name}:{options}" if options else self.name

    @property
    def label(self) -> str:
        """Short name for a table."""
        options = ",".join(f"{key}={value}" for key, value in self.options)
        short = LABELS.get(self.name, self.name)
        return f"{short} {options}" if options else short


def parse_provider(text: str) -> Provider:
    """name[:key=value,...]; name may be one of ALIASES."""
    name, _, rest = text.partition(":")
    pairs = [item.partition("=") for item in rest.split(",") if item]
    wrong = [key for key, equals, _ in pairs if not (key and equals)]
    if not name or wrong:
        raise ValueError(f"provider {text!r}: expected name or name:key=value,key=value")
    return Provider(ALIASES.get(name.lower(), name), tuple((k, v) for k, _, v in pairs))


def open_session(
    model: str | Path, provider: Provider, threads: int, log_level: int = ERRORS_ONLY
) -> ort.InferenceSession:
    """A session of `model` with the provider first; ONNX Runtime adds its CPU provider behind."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = log_level
    # A pool that spins on after its run would take the cores from the next session's turn.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    wanted = [(provider.name, dict(provider.options))]
    session = ort.InferenceSession(str(model), options, providers=wanted, enable_fallback=0)
    if provider.name not in session.get_providers():
        raise RuntimeError(f"{provider.name} is not available: got {session.get_providers()}")
    return session


@dataclass(frozen=True)
class Assignment:
    """Who runs a graph: nodes in all, nodes and partitions of one provider, what others run."""

    nodes: int
    claimed: int
    partitions: int
    elsewhere: tuple[str, ...]  # operator types that another provider runs

    @property
    def share(self) -> float:
        return self.claimed / self.nodes if self.nodes else 0.0


def assignment(session: ort.InferenceSession, provider: Provider) -> Assignment:
    """Counted after ONNX Runtime's own level-1 rewrites, as the provider was offered them."""
    parts = session.get_provider_graph_assignment_info()
    mine = [part for part in parts if part.ep_name == provider.name]
    others = [node for part in parts if part.ep_name != provider.name for node in part.get_nodes()]
    claimed = sum(len(part.get_nodes()) for part in mine)
    types = tuple(sorted({node.op_type for node in others}))
    return Assignment(claimed + len(others), claimed, len(mine), types)
