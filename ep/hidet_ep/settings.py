"""What the options of a session come to on this machine: CPU or GPU, and which.

In: checked Options. Out: Settings, for the plugin library and for people; or BadOption where the
machine has no such target: no driver, no such device, another architecture, no NVRTC.
"""

from __future__ import annotations

from dataclasses import dataclass

import hidet_core
from hidet_core import BadOption, CompileOptions, Target, TuneOptions, Unsupported
from hidet_ep.options import PROVIDER_NAME, Options, as_texts, parse


@dataclass(frozen=True)
class Settings:
    """target: for people. memory_limit: bytes, 0 for none. stream: address of a CUstream, 0 for
    streams of our own.
    """

    target: str
    on_gpu: bool
    device_id: int = 0
    memory_limit: int = 0
    use_graph: bool = True
    stream: int = 0


def provider(**options: object) -> tuple[str, dict[str, str]]:
    """An entry for `providers=[...]`, checked here and now. Raises BadOption.

    ONNX Runtime itself reports a bad option late: it prints "EP Error" and goes on with its CPU
    provider, unless InferenceSession is called with enable_fallback=0.
    """
    texts = as_texts(options)
    settle(parse(texts))
    return PROVIDER_NAME, texts


def settle(options: Options) -> Settings:
    """Raises BadOption."""
    try:
        target = hidet_core.choose_target(compile_options(options))
        is_gpu = target.kind == "cuda"
        wants_gpu = is_gpu or (options.target == "auto" and options.device_id > 0)
        device = hidet_core.gpu(options.device_id) if wants_gpu else None
    except Unsupported as error:
        if options.target in ("auto", "cpu") and options.device_id == 0:
            return Settings(f"nothing ({error})", on_gpu=False)  # nor will any node be claimed
        key = "target" if options.device_id == 0 else "device_id"
        raise BadOption(key, getattr(options, key), f"what is here; {error}") from error
    if is_gpu and options.tuning != "off":
        raise BadOption("tuning", options.tuning, "off for GPUs (scripts/gpu_report.py tunes them)")
    if not is_gpu or device is None:
        return Settings(f"the CPU ({target.name})", on_gpu=False)
    _require_runnable(options, target, device)
    return Settings(
        f"{target.name} on CUDA device {options.device_id} ({device.device})",
        on_gpu=True,
        device_id=options.device_id,
        memory_limit=options.gpu_mem_limit,
        use_graph=options.enable_cuda_graph,
        stream=options.user_compute_stream,
    )


def _require_runnable(options: Options, target: Target, device: Target) -> None:
    if not hidet_core.is_installed(target):
        needs = "g++" if target.emulated else "NVRTC: pip install 'onnxruntime-ep-hidet[cuda]'"
        raise BadOption("target", options.target, f"auto, cpu; a GPU needs {needs}")
    if not hidet_core.runs_on(target, device):
        here = f"CUDA device {options.device_id} is {device.device} ({device.name})"
        raise BadOption("target", options.target, f"auto, cuda, cpu; {here}")


def tune_options(options: Options) -> TuneOptions | None:
    """The tuner's part of the options, None for tuning=off."""
    if options.tuning == "off":
        return None
    pairs = (word.rpartition("=") for word in options.tuning_sizes.split())
    return TuneOptions(options.tuning, sizes={name: int(size) for name, _, size in pairs})


def compile_options(options: Options) -> CompileOptions:
    """The compiler's part of the options."""
    return CompileOptions(
        target=options.target,
        device_id=options.device_id,
        allow_tf32=options.allow_tf32,
        cache=options.cache,
        cache_dir=options.cache_dir or None,
        winograd=options.winograd,
        dump_dir=options.dump_dir or None,
        debug=options.debug,
    )
