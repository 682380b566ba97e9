"""Registration, and what the library is made of. Tests of a whole process run in a fresh one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime as ort
import pytest

import hidet_ep

ROOT = Path(__file__).parents[2]


def run(code, *, expect=0, **extra_env):
    """Runs Python code in a fresh interpreter that sees what this one sees; gives its output."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **extra_env}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def ours():
    """Our device that is the CPU; there are others where there are GPUs."""
    found = [device for device in ort.get_ep_devices() if device.ep_name == "HidetEP"]
    return [d for d in found if d.device.type == ort.OrtHardwareDeviceType.CPU]


def test_import_registers_once():
    assert len(ours()) == 1
    hidet_ep.register()
    assert len(ours()) == 1
    assert hidet_ep.get_ep_name() in ort.get_available_providers()
    assert hidet_ep.get_ep_names() == ["HidetEP"]
    assert Path(hidet_ep.get_library_path()).is_absolute()


def test_registration_from_eight_threads():
    run("""
import threading
barrier = threading.Barrier(8)
errors = []
def work():
    barrier.wait()
    try:
        import hidet_ep
        hidet_ep.register()
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
assert not errors, errors
from tests.ep.test_registration import ours
assert len(ours()) == 1
""")


def test_registered_by_hand_before_the_import():
    run("""
import importlib.util, pathlib
import onnxruntime
library = pathlib.Path(importlib.util.find_spec("hidet_ep").origin).with_name("libhidet_ep.so")
onnxruntime.register_execution_provider_library("HidetEP", str(library))
import hidet_ep
from tests.ep.test_registration import ours
assert len(ours()) == 1
""")


def test_a_machine_without_a_driver_gets_the_cpu_only_and_no_words():
    shown = run(
        """
import numpy as np, onnxruntime as ort, hidet_ep
from tests.ep import models
ours = [d for d in ort.get_ep_devices() if d.ep_name == "HidetEP"]
assert [d.device.type for d in ours] == [ort.OrtHardwareDeviceType.CPU]
assert ours[0].device.vendor and not dict(ours[0].ep_options)
s = ort.InferenceSession(models.relu_chain(), providers=["HidetEP"], enable_fallback=0)
assert s.get_providers()[0] == "HidetEP"
s.run(None, {"x": np.ones((3, 8), np.float32)})
""",
        HIDET_CUDA_DRIVER="/nowhere/libcuda.so.1",
    )
    assert shown == ""


def test_the_import_leaves_the_driver_to_processes_that_are_forked():
    """To declare the GPUs the driver is not initialised: a child may be the first to use it."""
    run(
        """
import os
import hidet_ep
child = os.fork()
if child == 0:
    import hidet_core
    os._exit(0 if hidet_core.gpu().emulated else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""",
        HIDET_CUDA_DRIVER="emulated",
    )


def test_import_without_onnxruntime():
    hide = "import sys; sys.modules['onnxruntime'] = None; import hidet_ep\n"
    run(hide + "hidet_ep.get_library_path()")
    shown = run(hide + "hidet_ep.register()", expect=1)
    assert "ImportError: HidetEP needs onnxruntime 1.27 or newer, none is here" in shown


def test_too_old_onnxruntime_is_named():
    shown = run("import onnxruntime; onnxruntime.__version__ = '1.24.4'; import hidet_ep", expect=1)
    assert "HidetEP needs onnxruntime 1.27 or newer, this is 1.24.4" in shown


USE_A_SESSION = """
import numpy as np, onnxruntime as ort, hidet_ep
from tests.ep import models
from tests.ep.fake_compiler import FakeCompiler, installed
with installed(FakeCompiler()):
    s = ort.InferenceSession(models.relu_chain(), providers=["HidetEP"], enable_fallback=0)
x = np.ones((3, 8), np.float32)
s.run(None, {"x": x})
"""


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import builtins; builtins.kept = s",
        "del s",
        "import atexit; atexit.register(lambda: s.run(None, {'x': x}))",
        "import sys; sys.exit(0)",
    ],
    ids=["alive", "in_builtins", "deleted", "atexit", "sys_exit"],
)
def test_interpreter_ends_cleanly(ending):
    assert run(USE_A_SESSION + ending) == ""


def test_session_made_after_the_bridge_is_gone_runs_on_the_cpu_provider():
    shown = run("""
import atexit
def late():
    import numpy as np, onnxruntime as ort
    from tests.ep import models
    s = ort.InferenceSession(models.relu_chain(), providers=["HidetEP"], enable_fallback=0)
    print(s.run(None, {"x": -np.ones((1, 8), np.float32)})[0].sum())
atexit.register(late)
import hidet_ep
""")
    assert shown == "-8.0\n"


def readelf(*arguments):
    tool = shutil.which("readelf")
    if tool is None:
        pytest.skip("needs readelf")
    command = [tool, *arguments, hidet_ep.get_library_path()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_library_depends_on_no_python_and_no_onnxruntime():
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("--wide", "--dynamic"))
    allowed = ("libstdc++", "libgcc_s", "libc.", "libm.", "ld-linux", "libpthread", "libdl")
    assert needed and all(name.startswith(allowed) for name in needed), needed
    assert not re.search(r"UND _?Py", readelf("--wide", "--dyn-syms"))


def test_library_exports_its_three_entry_points_only():
    table = readelf("--wide", "--dyn-syms").splitlines()
    rows = [line.split() for line in table if re.search(r"(GLOBAL|WEAK|UNIQUE) +DEFAULT", line)]
    exported = {row[7] for row in rows if row[6] != "UND"}
    assert exported == {"CreateEpFactories", "ReleaseEpFactory", "HidetSetBridge"}
