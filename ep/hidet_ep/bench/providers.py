"""A provider as the user writes it -> a session on it.

In: "cpu", "HidetEP", "HidetEP:target=cpu,tuning=off"; out: a Provider (name, options, label) and
sessions of it that fail, rather than fall back silently, when the provider is missing. "cuda-best"
is the CUDA provider with what it offers for speed: its CUDA graph, and NHWC convolutions.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import onnxruntime as ort

ALIASES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "hidet": "HidetEP",
}
PRESETS = {"cuda-best": "cuda:enable_cuda_graph=1,prefer_nhwc=1"}
GPU_PROVIDERS = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
TF32_OPTIONS = {"HidetEP": "allow_tf32", "CUDAExecutionProvider": "use_tf32"}
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

    def option(self, key: str) -> str:
        """Its value; "" where it is not given."""
        return dict(self.options).get(key, "")

    def with_default(self, key: str, value: str) -> "Provider":
        """With an option more, unless it is given."""
        if self.option(key):
            return self
        return replace(self, options=(*self.options, (key, value)))

    @property
    def is_on_gpu(self) -> bool:
        """As far as its options say: HidetEP without a target is taken for one on the CPU."""
        return self.name in GPU_PROVIDERS or self.option("target").startswith(("cuda", "sm_"))

    @property
    def device_id(self) -> int:
        return int(self.option("device_id") or 0)

    @property
    def place(self) -> dict[str, str]:
        """The options that say which device it is."""
        return {key: value for key, value in self.options if key in ("device_id", "target")}


def parse_provider(text: str) -> Provider:
    """name[:key=value,...]; name may be one of ALIASES or PRESETS."""
    name, colon, rest = text.partition(":")
    preset = PRESETS.get(name.lower())
    if preset is not None:
        return parse_provider(f"{preset},{rest}" if colon else preset)
    pairs = [item.partition("=") for item in rest.split(",") if item]
    wrong = [key for key, equals, _ in pairs if not (key and equals)]
    if not name or wrong:
        raise ValueError(f"provider {text!r}: expected name or name:key=value,key=value")
    return Provider(ALIASES.get(name.lower(), name), tuple((k, v) for k, _, v in pairs))


def alike(
    providers: list[Provider], target: str | None = None, tf32: str | None = None
) -> list[Provider]:
    """The same choices for all providers that know them. target: of HidetEP; tf32: "0" or "1"."""
    chosen = []
    for provider in providers:
        if target is not None and provider.name == "HidetEP":
            provider = provider.with_default("target", target)
        if tf32 is not None and provider.name in TF32_OPTIONS:
            provider = provider.with_default(TF32_OPTIONS[provider.name], tf32)
        chosen.append(provider)
    return chosen


def preload_libraries(provider: Provider) -> None:
    """The CUDA libraries of ONNX Runtime's own GPU providers, from their wheels if need be."""
    preload: Callable[[], None] | None = getattr(ort, "preload_dlls", None)
    if provider.name in GPU_PROVIDERS and provider.name in ort.get_available_providers():
        if preload is not None:
            preload()


def open_session(
    model: str | Path, provider: Provider, threads: int, log_level: int = ERRORS_ONLY
) -> ort.InferenceSession:
    """A session of `model` with the provider first; ONNX Runtime adds its CPU provider behind."""
    preload_libraries(provider)
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
