"""How long does it take to create a session? Measured in fresh processes, as a user meets it.

cold: HidetEP's cache folder is empty; warm: a second process with the folder the first one left.
The model file is in the page cache both times. Imports are not counted, compiling is.
The child process runs `print_creation_seconds`.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hidet_ep.bench.providers import Provider, open_session, parse_provider

TIMEOUT_SECONDS = 1800
CHILD = f"import sys; from {__name__} import print_creation_seconds as p; p(*sys.argv[1:])"


def creation_times(model: Path, provider: Provider, threads: int) -> tuple[float, float]:
    """(cold, warm) in seconds."""
    model.read_bytes()
    with tempfile.TemporaryDirectory(prefix="hidet-bench-") as cache:
        cold = _in_fresh_process(model, provider, threads, cache)
        return cold, _in_fresh_process(model, provider, threads, cache)


def _in_fresh_process(model: Path, provider: Provider, threads: int, cache: str) -> float:
    # -P: whatever lies in the current folder is not what we are
    command = [sys.executable, "-P", "-c", CHILD, str(model), provider.text, str(threads)]
    done = subprocess.run(
        command,
        env={**os.environ, "HIDET_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"creating a session on {provider.label} failed: {last}")
    return float(done.stdout.splitlines()[-1])


def print_creation_seconds(model: str, provider: str, threads: str) -> None:
    start = time.perf_counter()
    open_session(model, parse_provider(provider), int(threads))
    print(time.perf_counter() - start)
