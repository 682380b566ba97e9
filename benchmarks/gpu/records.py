"""Regret and tuned table of measured schedules: `python -m benchmarks.gpu.records FILE...`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hidet_core.tune.records import SCHEMA, best_table, load, regret

__all__ = ["SCHEMA", "best_table", "load", "regret"]


def main() -> int:
    args = argparse.ArgumentParser(description="Regret and tuned table of measured schedules.")
    args.add_argument("records", type=Path, nargs="+", help="files of records")
    args.add_argument("--table", type=Path, help="write the tuned table here")
    given = args.parse_args()
    records = [record for path in given.records for record in load(path)]
    found = regret(records)
    for row in found.pop("rows"):
        print(f"{row['ratio']:6.2f}x  {row['best_us']:8.1f} us  {row['best']:40}  {row['key']}")
    print(json.dumps(found))
    if given.table:
        given.table.write_text(json.dumps(best_table(records), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
