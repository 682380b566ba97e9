"""Measuring on a machine with an NVIDIA GPU: the steps of scripts/gpu_report.py.

`runner` (standard library alone: it runs before anything is built) gives each step a process and
its share of the time; every other module is one step, `python -m benchmarks.gpu.NAME --out FILE`,
or what steps share (`driver`, `step`). docs/measuring.md says how to read what they write.
"""
