"""A differential fuzzer: random ONNX models, HidetEP against ONNX Runtime's CPU provider.

draws (numbers of a seed) -> draft + ops/ (a model, node by node) -> case -> judge (both providers,
twin.py where they differ) -> shrink -> report. process.py keeps crashes away from the rest;
main.py is the command line. docs/debugging.md says how to use it.
"""
