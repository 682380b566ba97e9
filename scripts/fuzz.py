#!/usr/bin/env python3
"""Fuzz HidetEP with random models against the CPU provider. `scripts/fuzz.py --help` says how."""

import sys

from hidet_ep.fuzz.main import main

if __name__ == "__main__":
    sys.exit(main())
