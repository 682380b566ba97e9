"""CUDA C++ source to an image that the emulated driver loads.

in:  one generated source with its kernels (extern "C" __global__)     out: bytes of a shared object
The text is rewritten where C++ cannot be taught CUDA by a header, line by line, so that g++'s
messages and the emulator's name the source's own lines:

    __shared__ float tile[16][17];        ->  auto& tile = SharedVariable<0, float[16][17]>();
    extern __shared__ float room[];       ->  auto* const room = DynamicShared<float>();
    __global__ void __launch_bounds__(64) scale(...)    is listed at the end of the text

Then g++ -fsanitize=thread compiles it: every load and store calls a hook (device/*_hooks.h).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hidet_core.base.errors import HidetError

FOLDER = Path(__file__).parent
DEVICE_HEADERS = FOLDER / "device"
LIBRARY = FOLDER / "libhidet_emucuda.so"
# -O1: the hooks before every access leave -O2 little to do, and it takes twice as long.
FLAGS = (
    *("-std=c++17", "-O1", "-g1", "-fPIC", "-fsanitize=thread", "-fvisibility=hidden"),
    *("--param", "tsan-distinguish-volatile=1"),
    *("-fno-exceptions", "-fno-rtti", "-ffp-contract=off", "-Wno-unknown-pragmas"),
)

LINK_FLAGS = ("-shared", "-Wl,--wrap=memcpy,--wrap=memset")

# A variable of a module, as it is declared; functions have a parenthesis behind the name.
VARIABLE = re.compile(
    r"__(?:device|constant)__\s+(?:(?:__align__|alignas)\s*\([^()]*\)\s*)?"
    r"(?:(?:const|volatile|unsigned|signed|long|short|struct)\s+)*[\w:]+[\s*]+"
    r"(?P<name>\w+)\s*(?:\[[^\]]*\]\s*)*[;={]"
)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
ALIGNMENT = r"(?:__align__|alignas)\s*\(\s*(?P<alignment>[^()]+?)\s*\)"
SHARED = re.compile(
    rf"(?P<extern>extern\s+)?__shared__\s+(?:{ALIGNMENT}\s+)?"
    r"(?P<type>(?:(?:const|volatile|unsigned|signed|long|short)\s+)*[\w:]+(?:\s*<[^<>;]*>)?)"
    r"(?=[\s*])\s*(?P<names>[\w*][^;]*);"
)
DECLARATOR = re.compile(r"(?P<stars>[*\s]*)(?P<name>\w+)\s*(?P<dims>(?:\[[^\[\]]*\]\s*)*)")
BOUNDS = r"__launch_bounds__\s*\(\s*(?P<bounds{}>[^(),]+)[^()]*\)\s*"
KERNEL = re.compile(
    rf"__global__\s+(?:{BOUNDS.format(1)})?void\s+(?:{BOUNDS.format(2)})?(?P<name>\w+)\s*\("
)


class ImageError(HidetError):
    """A source that is no image: what g++ said, or what cannot be rewritten."""


@dataclass(frozen=True)
class _Kernel:
    name: str
    position: int
    max_threads: str  # an expression; 0: no bounds

    def entry(self, first: int, last: int) -> str:
        return f"HIDET_EMU_KERNEL({self.name}, ({self.max_threads}), {first}, {last})"


def compiler() -> str | None:
    """The C++ compiler for images, None: none is installed."""
    return shutil.which("g++")


def compile_image(source: str, name: str = "kernel.cu", includes: Sequence[Path] = ()) -> bytes:
    """The image of a CUDA source; `name` stands in messages. Raises ImageError."""
    gxx = compiler()
    if gxx is None:
        raise ImageError("g++ is needed to compile for the emulated device: it is not installed")
    text = rewrite(source, name)
    with tempfile.TemporaryDirectory(prefix="hidet_image_") as folder:
        path, image = Path(folder) / "image.cc", Path(folder) / "image.so"
        path.write_text(text)
        paths = [f"-I{folder}" for folder in (DEVICE_HEADERS, *includes)]
        # Linked by a second command: with -fsanitize, g++ would link its own library of hooks.
        _run([gxx, *FLAGS, *paths, "-c", str(path), "-o", str(path.with_suffix(".o"))])
        _run([gxx, *LINK_FLAGS, str(path.with_suffix(".o")), "-o", str(image)])
        return image.read_bytes()


def rewrite(source: str, name: str = "kernel.cu") -> str:
    """The source as C++ for the emulator. It keeps its line numbers."""
    text = COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)
    positions: list[int] = []  # of each shared variable

    def declare(match: re.Match[str]) -> str:
        lines = "\n" * match[0].count("\n")
        return " ".join(_declarations(match, positions)) + lines

    kernels = [
        _Kernel(match["name"], match.start(), match["bounds1"] or match["bounds2"] or "0")
        for match in KERNEL.finditer(text)
    ]
    if not kernels:
        raise ImageError(f"{name} has no kernel: no `__global__ void name(` was found")
    body = SHARED.sub(declare, text)
    return (
        f'#include "hidet_emu_device.h"\n#line 1 "{name}"\n{body}\n'
        f"{_variables(text)}\nHIDET_EMU_IMAGE({', '.join(_entries(kernels, positions))})\n"
    )


def _variables(text: str) -> str:
    """C++ that lists the __device__ and __constant__ variables."""
    names = [match["name"] for match in VARIABLE.finditer(text)]
    rows = "".join(f'{{"{name}", (const void*)&{name}, sizeof({name})}}, ' for name in names)
    listed = f"hidet_emu_variables[] = {{{rows}{{nullptr, nullptr, 0}}}};"
    return f"static const hidet_emu::VariableInfo {listed}"


def _entries(kernels: list[_Kernel], positions: list[int]) -> list[str]:
    """One HIDET_EMU_KERNEL for each; shared variables belong to the kernel before them."""
    ends = [kernel.position for kernel in kernels[1:]] + [1 << 62]
    return [
        kernel.entry(
            sum(position < kernel.position for position in positions),
            sum(position < end for position in positions),
        )
        for kernel, end in zip(kernels, ends, strict=True)
    ]


def _declarations(match: re.Match[str], positions: list[int]) -> list[str]:
    """C++ for one __shared__ declaration."""
    kind, alignment = match["type"], match["alignment"] or "1"
    if match["extern"]:
        found = re.fullmatch(r"(\w+)\s*\[\s*\]\s*", match["names"])
        if found is None:
            raise ImageError(f"expected one unsized array in: {match[0]}")
        return [f"auto* const {found[1]} = hidet_emu::DynamicShared<{kind}>();"]
    out = []
    for declarator in re.split(r",(?![^\[]*\])", match["names"]):
        found = DECLARATOR.fullmatch(declarator.strip())
        if found is None:
            raise ImageError(f"cannot read `{declarator.strip()}` in: {match[0]}")
        whole = kind + found["stars"].strip() + found["dims"].strip()
        out.append(
            f"auto& {found['name']} = hidet_emu::SharedVariable"
            f"<{len(positions)}, {whole}, {alignment}>();"
        )
        positions.append(match.start())
    return out


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"{' '.join(command)}\n{done.stderr}")
