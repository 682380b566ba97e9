"""compile_image: what is rewritten, and what is refused."""

import pytest

from hidet_core.emulator import ImageError, compile_image, compiler
from hidet_core.emulator.image import rewrite

KERNEL = 'extern "C" __global__ void kernel(float* x) { BODY }\n'


def body(text):
    return rewrite(KERNEL.replace("BODY", text)).splitlines()[2]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("__shared__ float a[4];", "auto& a = hidet_emu::SharedVariable<0, float[4], 1>();"),
        (
            "__shared__ __align__(128) unsigned char a[M * 2][4];",
            "auto& a = hidet_emu::SharedVariable<0, unsigned char[M * 2][4], 128>();",
        ),
        ("__shared__ int* p;", "auto& p = hidet_emu::SharedVariable<0, int*, 1>();"),
        (
            "__shared__ T<2, 3> v, w[2];",
            "auto& v = hidet_emu::SharedVariable<0, T<2, 3>, 1>(); "
            "auto& w = hidet_emu::SharedVariable<1, T<2, 3>[2], 1>();",
        ),
        (
            "extern __shared__ __align__(16) half room[];",
            "auto* const room = hidet_emu::DynamicShared<half>();",
        ),
        ("/* __shared__ int no; */ x[0] = 1;", "x[0] = 1;"),
    ],
)
def test_shared_variables(source, expected):
    written = body(source).replace(KERNEL.split("BODY")[0], "")
    assert " ".join(written[: written.rindex("}")].split()) == expected


def test_lines_keep_their_numbers():
    text = rewrite(
        "// one\n/* two\n*/\n" + KERNEL.replace("BODY", "__shared__ int\n a[2];\nx[0]=1;")
    )
    lines = text.splitlines()
    assert lines[1] == '#line 1 "kernel.cu"'
    assert lines[2 + 5].startswith("x[0]=1;")


def test_kernels_are_listed_with_bounds_and_variables():
    text = rewrite(
        'extern "C" __global__ void __launch_bounds__(4 * 32, 2) a(int* x)\n'
        "{ __shared__ int p, q; }\n"
        'extern "C" __global__ __launch_bounds__(N) void b() { __shared__ int r; }\n'
        'extern "C" __global__ void c() {}\n'
    )
    assert text.endswith(
        "HIDET_EMU_IMAGE(HIDET_EMU_KERNEL(a, (4 * 32), 0, 2), "
        "HIDET_EMU_KERNEL(b, (N), 2, 3), HIDET_EMU_KERNEL(c, (0), 3, 3))\n"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("int x;", "has no kernel"),
        (KERNEL.replace("BODY", "extern __shared__ float a[4];"), "one unsized array"),
        (KERNEL.replace("BODY", "__shared__ float a = 3;"), "cannot read `a = 3`"),
    ],
)
def test_refusals(source, message):
    with pytest.raises(ImageError, match=message):
        rewrite(source)


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
def test_messages_of_the_compiler_name_the_line():
    with pytest.raises(ImageError, match=r"mine\.cu:3:\d+: error: .*nonsense"):
        compile_image("\n\n" + KERNEL.replace("BODY", "nonsense(x);"), name="mine.cu")


def test_without_a_compiler(monkeypatch):
    monkeypatch.setattr("hidet_core.emulator.image.compiler", lambda: None)
    with pytest.raises(ImageError, match="g\\+\\+ is needed"):
        compile_image(KERNEL)
