"""The commands of `python -m hidet_core`: draw a mapping, run passes, repeat a dumped kernel."""
