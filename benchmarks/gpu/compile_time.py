"""Step "compile": how long the compiler takes for a model and an architecture, with no device.

Fresh processes on 2 cores: cold (empty cache), then warm. Imports and reading the model are not
counted. Processor time is told too: on a machine that does nothing else, the workers' halves run
side by side. `python -m benchmarks.gpu.compile_time --out FILE` works wherever NVRTC is installed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import onnx

from benchmarks.gpu.measuring import named
from benchmarks.gpu.step import Output, main
from hidet_core import CompileOptions, compile_partition, from_model
from hidet_core.plan import deserialize

CORES = 2
CHILD = f"import sys; from {__spec__.name} import child; child(*sys.argv[1:])"


def run(output: Output, args: argparse.Namespace) -> int:
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # the children's, too
    name, path = named(args.model, args.image)
    output.note(model=name, target=args.target, cores=len(cores))
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "warm"):
            command = [sys.executable, "-c", CHILD, str(path), args.target, cache]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return 1
            output.note(**{name: json.loads(done.stdout.splitlines()[-1])})
    return 0


def child(path: str, target: str, cache: str) -> None:
    model = onnx.load(path)
    graph = from_model(model)
    names = [[value.name for value in values] for values in (model.graph.input, model.graph.output)]
    options = CompileOptions(target=target, cache_dir=cache)
    before, start, cpu = _workers_cpu(), time.perf_counter(), time.process_time()
    compiled = compile_partition(graph, range(len(model.graph.node)), *names, options)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - start,
                "own_cpu_seconds": time.process_time() - cpu,
                "workers_cpu_seconds": _workers_cpu() - before,
                "kernels": len(compiled.report.kernels),
                "distinct_kernels": len(deserialize(compiled.plan).kernels),
            }
        )
    )


def _workers_cpu() -> float:
    """Processor seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="resnet50", help="of the zoo, or a file")
    parser.add_argument("--target", default="sm_90a")
    parser.add_argument("--image", type=int, default=224)


if __name__ == "__main__":
    sys.exit(main(run, add))
