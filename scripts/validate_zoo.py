#!/usr/bin/env python3
"""Validate HidetEP on the nine light-zoo models. `scripts/validate_zoo.py --help` says how."""

import sys

from hidet_ep.validate import main

if __name__ == "__main__":
    sys.exit(main())
