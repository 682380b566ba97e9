"""Tensor maths without schedules: definitions of values by index, their classification, a NumPy
evaluator."""
