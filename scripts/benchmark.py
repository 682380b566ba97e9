#!/usr/bin/env python3
"""Compare execution providers on zoo models or files. `scripts/benchmark.py --help` says how."""

import sys

from hidet_ep.bench import main

if __name__ == "__main__":
    sys.exit(main())
