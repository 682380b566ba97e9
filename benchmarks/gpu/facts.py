"""What a record was measured on, with the standard library alone: sources, GPU, versions."""

import hashlib
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("hidet_core", "ep", "scripts", "benchmarks", "tests")
SUFFIXES = {".py", ".cc", ".cpp", ".h", ".hpp", ".txt", ".toml", ".cu"}
SMI_FIELDS = (
    "name", "driver_version", "memory.total", "pstate", "clocks.sm", "clocks.max.sm",
    "clocks.mem", "clocks.max.mem", "temperature.gpu", "power.draw", "power.limit",
)  # fmt: skip
DISTRIBUTIONS = (
    "onnxruntime", "onnxruntime-gpu", "onnx", "numpy", "llvmlite", "nvidia-cuda-nvrtc",
    "cuda-bindings", "torch", "triton", "torchvision", "transformers", "tensorrt",
    "nvidia-cublas", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "pybind11", "cmake",
)  # fmt: skip


def is_emulated() -> bool:
    return os.environ.get("HIDET_CUDA_DRIVER", "") == "emulated"


def commit(root: Path = ROOT) -> str:
    """The commit's hash with '+' where files were changed since; '' where git does not tell."""
    head = _output(["git", "-C", str(root), "rev-parse", "HEAD"])
    changed = _output(["git", "-C", str(root), "status", "--porcelain", "-uno"])
    return head + "+" if head and changed else head


def tree_hash(root: Path = ROOT) -> str:
    """Equal for equal sources, with or without git: what decides whether a record is current."""
    found = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*")):
            inside = path.relative_to(root)
            if path.suffix in SUFFIXES and path.is_file() and "build" not in inside.parts:
                found.update(f"{inside.as_posix()}\0".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def machine() -> dict[str, object]:
    """GPU as nvidia-smi sees it now, processor, versions. No host name, no path."""
    return {
        "gpu": "emulated" if is_emulated() else gpu_state(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release()}",
        "versions": versions(),
    }


def gpu_state() -> dict[str, str]:
    """name, driver and clocks of GPU 0 as of now; {} without nvidia-smi."""
    text = _output(
        ["nvidia-smi", f"--query-gpu={','.join(SMI_FIELDS)}", "--format=csv,noheader", "--id=0"]
    )
    values = [value.strip() for value in text.split(",")]
    return dict(zip(SMI_FIELDS, values, strict=True)) if len(values) == len(SMI_FIELDS) else {}


def versions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _output(command: list[str]) -> str:
    """What a command prints; '' where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (subprocess.SubprocessError, OSError):
        return ""
    return done.stdout.strip()
