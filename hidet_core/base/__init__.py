"""Things every other package may use and that know nothing of compilers: errors, knobs, hashing,
trace.
"""
