"""Generated CUDA C++, run on the CPU: `intrinsics.h` and the kernel as they are, compiled by g++
behind a few definitions of what CUDA has built in. A block's threads are threads of the system.

    run_on_host(lowered, arrays, scalars)
Not for 16-bit floats, whose conversions are PTX. No checks: those are the interpreter's.
"""

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from hidet_core.codegen import emit_cuda, launch_of
from hidet_core.ir.expr import wrap
from hidet_core.ir.node import walk
from hidet_core.ir.simplify import simplify_dim
from hidet_core.ir.stmt import Barrier
from hidet_core.ir.substitute import substitute

HAS_COMPILER = shutil.which("g++") is not None
BEFORE = r"""
#include <barrier>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>
using namespace std;
#define __device__
#define __forceinline__ inline
#define __global__
#define __launch_bounds__(threads)
#define __shared__
#define __align__(bytes) __attribute__((aligned(bytes)))
struct Place { int x; };
static thread_local Place blockIdx, threadIdx;
static barrier<>* meeting;
static void __syncthreads() { meeting->arrive_and_wait(); }
static float __int_as_float(int bits) { float value; memcpy(&value, &bits, 4); return value; }
static double __longlong_as_double(long long bits) {
  double value; memcpy(&value, &bits, 8); return value;
}
static float rsqrtf(float a) { return 1.0f / sqrtf(a); }
static double rsqrt(double a) { return 1.0 / sqrt(a); }
"""
AFTER = """
alignas(64) unsigned char arena[{shared} + 64];
extern "C" void run(void** p, const long long* s, int blocks) {{
  for (int block = 0; block < blocks; ++block) {{
    memset(arena, 0xff, sizeof arena);
    barrier<> here({threads});
    meeting = &here;
    auto body = [&](int thread) {{
      blockIdx.x = block;
      threadIdx.x = thread;
      {name}({arguments});
    }};
    if ({at_once}) {{
      vector<std::thread> all;
      for (int k = 0; k < {threads}; ++k) all.emplace_back(body, k);
      for (auto& one : all) one.join();
    }} else {{
      for (int k = 0; k < {threads}; ++k) body(k);
    }}
  }}
}}
"""
_FOLDER = tempfile.TemporaryDirectory(prefix="hidet-cuda-host-")
_libraries = {}


def run_on_host(program, arrays, scalars=()):
    """Run all blocks of a lowered program on arrays, in place."""
    values = dict(zip(program.scalars, map(wrap, scalars), strict=True))
    blocks = simplify_dim(substitute(program.tasks, values))
    pointers = (ctypes.c_void_p * max(len(arrays), 1))(*(a.ctypes.data for a in arrays))
    numbers = (ctypes.c_longlong * max(len(scalars), 1))(*(int(n) for n in scalars))
    _library(_source(program)).run(pointers, numbers, blocks)


def _source(program):
    launch = launch_of(program)
    names = {"f32": "float", "f64": "double"}
    pointers = [
        f"({names.get(b.dtype.name, b.dtype.name)}*)p[{k}]" for k, b in enumerate(program.params)
    ]
    numbers = [f"s[{k}]" for k in range(len(program.scalars))]
    after = AFTER.format(
        shared=launch.shared_bytes,
        threads=launch.threads,
        name=program.name,
        arguments=", ".join([*pointers, *numbers]),
        at_once=int(any(isinstance(node, Barrier) for node in walk(program.body))),
    )
    return BEFORE + emit_cuda(program) + after


def _library(source):
    key = hashlib.sha256(source.encode()).hexdigest()[:24]
    if key not in _libraries:
        path = Path(_FOLDER.name) / key
        path.with_suffix(".cc").write_text(source)
        flags = ["-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", "-w"]
        command = ["g++", *flags, "-o", f"{path}.so", f"{path}.cc"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:3000]
        _libraries[key] = ctypes.CDLL(f"{path}.so")
    return _libraries[key]
