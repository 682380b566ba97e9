"""The table of operator generators.

`@maker("Add", dtypes=.., since=7)` registers a function (draft, op, dtypes) -> whether it added a
node. dtypes: text of names, or {opset: text} where the CPU provider's kernels depend on it; bf16,
for which it has none, is there wherever f16 is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..draft import Draft

Make = Callable[[Draft, str, tuple[str, ...]], bool]
MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class Row:
    """One operator (or idiom). names: what --ops knows it by. weight: how often it is drawn."""

    op: str
    make: Make
    since: int
    until: int
    dtypes: Mapping[int, str]
    domain: str
    weight: float

    def at(self, opset: int) -> tuple[str, ...]:
        """Types at an opset version, empty before the first."""
        if not self.since <= opset <= self.until:
            return ()
        versions = [version for version in self.dtypes if version <= opset]
        names = self.dtypes[max(versions)].split() if versions else []
        return (*names, "bf16") if "f16" in names and opset >= 22 else tuple(names)


ROWS: dict[str, list[Row]] = {}
NEWEST = 1 << 20


def maker(
    *ops: str,
    dtypes: str | Mapping[int, str],
    since: int = 1,
    until: int = NEWEST,
    domain: str = "",
    weight: float = 1.0,
) -> Callable[[Make], Make]:
    """The decorated function draws nodes of these operators."""
    versions = {0: dtypes} if isinstance(dtypes, str) else dtypes

    def add(make: Make) -> Make:
        for op in ops:
            ROWS.setdefault(op, []).append(Row(op, make, since, until, versions, domain, weight))
        return make

    return add


# what NaN, infinities become in these is beyond doubt
SPECIAL = frozenset(
    "Neg Abs Add Sub Mul Div Max Min Where Greater Less GreaterOrEqual LessOrEqual Equal IsNaN "
    "IsInf Exp Log Sqrt Tanh Sigmoid Erf Reciprocal Floor Ceil Round Relu LeakyRelu Transpose "
    "Identity Flatten Reshape Squeeze Unsqueeze Concat Split Slice Pad Tile Expand Gather "
    "GatherElements MatMul Gemm Conv Trilu Not And Or Xor ReduceSum ReduceMean swish".split()
)


def rows(opset: int, dtype: str, ops: tuple[str, ...] = ()) -> list[Row]:
    """What may be drawn at an opset version in a case of a float type; of `ops` alone if given."""
    found = [row for name in sorted(ROWS) for row in ROWS[name] if not ops or name in ops]
    usable = [row for row in found if row.at(opset)]
    if dtype == "bf16":
        usable = [row for row in usable if "bf16" in row.at(opset) or "f32" not in row.at(opset)]
    if dtype == "f64":
        usable = [row for row in usable if "f64" in row.at(opset) or "f32" not in row.at(opset)]
    return usable
