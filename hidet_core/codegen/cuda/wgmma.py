"""Warpgroup products (wgmma) as C++ functions: one for each width, since PTX names every register.

`ht_wgmma_<kind>_n<columns><A transposed, B transposed>(d, a, b, accumulates)` adds (or, where
`accumulates` is 0, writes) A[64, k] B[k, columns] to the thread's columns / 2 floats in d. The
operands are descriptors made by `ht_wgmma_operand` (hopper.h), which this text follows.
Element e of thread t lies in row t/32*16 + t%32/4 + e/2%2*8 and column e/4*8 + t%4*2 + e%2.
"""

from collections.abc import Collection

from hidet_core.base.errors import CompilerBug

# kind: (k of one instruction, the type's name in PTX, in the emulator)
KINDS = {
    "f16": (16, "f16", "kFloat16"),
    "bf16": (16, "bf16", "kBfloat16"),
    "tf32": (8, "tf32", "kTfloat32"),
}
MAX_COLUMNS = 256


def wgmma_name(kind: str, columns: int) -> str:
    """The function's name."""
    return f"ht_wgmma_{kind}_n{columns}"


def wgmma_source(kind: str, columns: int) -> str:
    """The function for a kind of operands and 8, 16, ... 256 columns. Raises CompilerBug."""
    if kind not in KINDS or columns % 8 != 0 or not 8 <= columns <= MAX_COLUMNS:
        raise CompilerBug("codegen", f"there is no wgmma of {columns} columns of {kind}")
    depth, ptx, name = KINDS[kind]
    count = columns // 2
    registers = ", ".join(f"%{index}" for index in range(count))
    outputs = ", ".join(f'"+f"(d[{index}])' for index in range(count))
    a, b, accumulates = f"%{count}", f"%{count + 1}", f"%{count + 2}"
    turned = "" if kind == "tf32" else f", %{count + 3}, %{count + 4}"
    constants = "" if kind == "tf32" else ', "n"(TransposedA), "n"(TransposedB)'
    text = (
        f"{{.reg .pred p; setp.ne.b32 p, {accumulates}, 0; "
        f"wgmma.mma_async.sync.aligned.m64n{columns}k{depth}.f32.{ptx}.{ptx} "
        f"{{{registers}}}, {a}, {b}, p, 1, 1{turned};}}"
    )
    function = wgmma_name(kind, columns)
    return f"""template <int TransposedA = 0, int TransposedB = 0>
#ifdef __CUDACC__
HT_DEV void {function}(float* d, u64 a, u64 b, int accumulates) {{
  asm volatile(
      "{text}"
      : {outputs}
      : "l"(a), "l"(b), "r"(accumulates){constants});
}}
#else
HT_DEV void {function}(float* d, u64 a, u64 b, int accumulates, int line = __builtin_LINE()) {{
  const hidet_emu::WarpgroupMma operation{{
      hidet_emu::{name}, {columns}, a, b, d, accumulates != 0, TransposedA != 0,
      TransposedB != 0, line}};
  hidet_emu::table->async->mma_issue(&operation);
}}
#endif
"""


def products_source(products: Collection[tuple[str, int]]) -> str:
    """The functions of (kind, columns), and `ht_wgmma_<kind><columns, row bytes, step, turned>` of
    (d, a, b) over them: the operands are places in shared memory, of rows of so many bytes,
    swizzled; a step is 32 bytes of them, or of b, where it is turned, 16 rows of 64 columns.
    """
    texts = [wgmma_source(kind, columns) for kind, columns in sorted(products)]
    for kind in sorted({kind for kind, _ in products}):
        widths = sorted(columns for other, columns in products if other == kind)
        calls = "\n".join(
            f"  if constexpr (Columns == {columns}) {{\n"
            f"    {wgmma_name(kind, columns)}<0, Turned>(d, left, right, 1);\n  }}"
            for columns in widths
        )
        texts.append(f"""template <int Columns, int RowBytes, int Step, int Turned, class T>
HT_DEV void ht_wgmma_{kind}(float* d, const T* a, const T* b) {{
  constexpr int skipped = Step * 32 / int(sizeof(T));
  const u64 left = ht_wgmma_operand<RowBytes>(a + skipped, 16, 8 * RowBytes);
  constexpr int next = Turned ? RowBytes / int(sizeof(T)) * RowBytes : 16;
  const T* const first = Turned ? b + Step * 16 * RowBytes / int(sizeof(T)) : b + skipped;
  const u64 right = ht_wgmma_operand<RowBytes>(first, next, 8 * RowBytes);
{calls}
}}
""")
    return "".join(texts)
