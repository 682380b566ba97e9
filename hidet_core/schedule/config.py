"""Schedule configs: frozen dataclasses that print themselves shortly, for reports, cache keys and
records.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Config:
    """Base of all configs; a config is a value and its text is its identity."""

    def __str__(self) -> str:
        return " ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self))
