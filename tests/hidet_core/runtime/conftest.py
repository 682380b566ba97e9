"""Kernels for the runtime's tests, written in LLVM IR and compiled to ELF objects by llvmlite.

`objects` gives the image of a named kernel; `row_sum_plan` a plan with two symbols, a temporary, a
constant and two launches, with `row_sum_reference` as its NumPy meaning.
"""

import textwrap

import llvmlite.binding as llvm
import numpy as np
import pytest

from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Var
from hidet_core.plan import Argument, Buffer, BufferKind, KernelCode, Launch, Plan, TensorSpec

HEAD = "define void @{name}(ptr %args, ptr %scalars, i64 %begin, i64 %end)"

# A loop over tasks: `setup` runs once, `body` for each %t and defines what it needs.
LOOP = """
{globals}
{head} {{
entry:
{setup}
  %empty = icmp sge i64 %begin, %end
  br i1 %empty, label %done, label %loop
loop:
  %t = phi i64 [%begin, %entry], [%next, %{last}]
{body}
  %next = add i64 %t, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""


def pointer(name, index):
    """Loads argument `index` into %name."""
    return (
        f"  %{name}.p = getelementptr ptr, ptr %args, i64 {index}\n"
        f"  %{name} = load ptr, ptr %{name}.p"
    )


def element(name, base, index, kind="float"):
    """The address of base[index] in %name.a and its value in %name."""
    return (
        f"  %{name}.a = getelementptr {kind}, ptr %{base}, i64 %{index}\n"
        f"  %{name} = load {kind}, ptr %{name}.a"
    )


def loop(name, setup, body, globals_="", last="loop"):
    head = HEAD.format(name=name)
    return LOOP.format(globals=globals_, head=head, setup=setup, body=body, last=last)


# out[t] = x[t] * c[0] + x[t]
SCALE = loop(
    "scale",
    "\n".join([pointer("x", 0), pointer("c", 1), pointer("out", 2)]),
    element("v", "x", "t")
    + """
  %f = load float, ptr %c
  %m = fmul float %v, %f
  %s = fadd float %m, %v
  %o = getelementptr float, ptr %out, i64 %t
  store float %s, ptr %o""",
)

# out[t] = sum of x[t * cols .. (t + 1) * cols), cols = scalars[0]
ROW_SUM = loop(
    "row_sum",
    "\n".join([pointer("x", 0), pointer("out", 1), "  %cols = load i64, ptr %scalars"]),
    """  %row = mul i64 %t, %cols
  %none = icmp sle i64 %cols, 0
  br i1 %none, label %after, label %inner
inner:
  %j = phi i64 [0, %loop], [%j1, %inner]
  %acc = phi float [0.0, %loop], [%acc1, %inner]
  %at = add i64 %row, %j
"""
    + element("v", "x", "at")
    + """
  %acc1 = fadd float %acc, %v
  %j1 = add i64 %j, 1
  %go = icmp slt i64 %j1, %cols
  br i1 %go, label %inner, label %after
after:
  %sum = phi float [0.0, %loop], [%acc1, %inner]
  %o = getelementptr float, ptr %out, i64 %t
  store float %sum, ptr %o""",
    last="after",
)

# out[t] = table[t % 4] through .rodata, and through a table of pointers in .data.rel.ro
TABLES = loop(
    "tables",
    pointer("out", 0),
    """  %i = and i64 %t, 3
  %p.a = getelementptr ptr, ptr @rows, i64 %i
  %p = load volatile ptr, ptr %p.a
  %u = load float, ptr %p
"""
    + "  %w.a = getelementptr float, ptr @values, i64 %i\n  %w = load volatile float, ptr %w.a"
    + """
  %s = fadd float %u, %w
  %o = getelementptr float, ptr %out, i64 %t
  store float %s, ptr %o""",
    globals_="""
@values = private constant [4 x float] [float 1.0, float 2.0, float 4.0, float 8.0], align 64
@rows = private constant [4 x ptr] [ptr @values, ptr getelementptr (float, ptr @values, i64 1),
  ptr getelementptr (float, ptr @values, i64 2), ptr getelementptr (float, ptr @values, i64 3)]""",
)

# copies scalars[0] bytes with memcpy, fills the next 8 with memset, and counts its calls in .bss
LIBC = f"""
@calls = internal global i64 0
declare ptr @memcpy(ptr, ptr, i64)
declare ptr @memset(ptr, i32, i64)
{HEAD.format(name="libc")} {{
{pointer("x", 0)}
{pointer("out", 1)}
{pointer("count", 2)}
  %bytes = load i64, ptr %scalars
  call ptr @memcpy(ptr %out, ptr %x, i64 %bytes)
  %behind = getelementptr i8, ptr %out, i64 %bytes
  call ptr @memset(ptr %behind, i32 7, i64 8)
  %old = load volatile i64, ptr @calls
  %new = add i64 %old, 1
  store volatile i64 %new, ptr @calls
  store i64 %new, ptr %count
  ret void
}}
"""

UNKNOWN = f"""
declare float @expf(float)
{HEAD.format(name="unknown")} {{
  %y = call float @expf(float 1.0)
{pointer("out", 0)}
  store float %y, ptr %out
  ret void
}}
"""

# reaches a global through the GOT: it is not dso_local
GOT = f"""
@shared = global i64 41
{HEAD.format(name="got")} {{
  %v = load volatile i64, ptr @shared
  %w = add i64 %v, 1
  store volatile i64 %w, ptr @shared
{pointer("out", 0)}
  store i64 %w, ptr %out
  ret void
}}
"""

# out[t] = scalars[t]
SCALARS = loop(
    "scalars",
    pointer("out", 0),
    element("v", "scalars", "t", "i64")
    + """
  %o = getelementptr i64, ptr %out, i64 %t
  store i64 %v, ptr %o""",
)

SOURCES = {
    "scale": SCALE, "row_sum": ROW_SUM, "tables": TABLES, "libc": LIBC, "unknown": UNKNOWN,
    "got": GOT, "both": SCALE + ROW_SUM, "scalars": SCALARS,
}  # fmt: skip


def compile_ir(source):
    """LLVM IR as a position-independent x86-64 object."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(opt=2, reloc="pic", codemodel="small")
    module = llvm.parse_assembly(textwrap.dedent(source))
    module.verify()
    return machine.emit_object(module)


@pytest.fixture(scope="session")
def objects():
    return {name: compile_ir(source) for name, source in SOURCES.items()}


@pytest.fixture(scope="session")
def row_sum_plan(objects):
    """x [n, m], k [n * m] -> sums [n], scaled [n, m]; the constant is one float."""
    n, m = Var("n"), Var("m")
    bytes_ = n * m * 4
    image = objects["both"]
    return Plan(
        symbols=(n, m),
        inputs=(TensorSpec("x", f32, (n, m)), TensorSpec("k", f32, (n * m, 2))),
        outputs=(TensorSpec("sums", f32, (n,)), TensorSpec("scaled", f32, (n, m))),
        buffers=(
            Buffer(BufferKind.INPUT, 0, bytes_),
            Buffer(BufferKind.CONSTANT, 0, 8),
            Buffer(BufferKind.TEMP, 0, bytes_ + 64),
            Buffer(BufferKind.OUTPUT, 0, n * 4),
            Buffer(BufferKind.OUTPUT, 1, bytes_),
        ),
        kernels=(KernelCode("scale", image), KernelCode("row_sum", image)),
        launches=(
            Launch(0, (Argument(0), Argument(1), Argument(2, 64)), (), n * m, 1.0, "scale"),
            Launch(1, (Argument(2, 64), Argument(3)), (m,), n, 1e6, "sum"),
            Launch(0, (Argument(2, 64), Argument(1, 4), Argument(4)), (), n * m, 1.0, "again"),
        ),
        name="row_sum",
    )


@pytest.fixture(scope="session")
def row_sum_constant():
    return np.array([2.0, 0.5], np.float32)


@pytest.fixture(scope="session")
def row_sum_reference(row_sum_constant):
    def reference(x):
        scaled = x * row_sum_constant[0] + x
        return scaled.sum(axis=1), scaled * row_sum_constant[1] + scaled

    return reference
