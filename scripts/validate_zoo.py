#!/usr/bin/env python3
"""Validate HidetEP on the models of the zoo. `scripts/validate_zoo.py --help` says how."""

import sys

from hidet_ep.validate import main

if __name__ == "__main__":
    sys.exit(main())
