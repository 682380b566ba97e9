"""The IR: dtypes, expressions, statements, programs, and what walks, prints, checks and simplifies
them.
"""
