"""Graphs of operators over values with symbolic dims, and the passes that rewrite them."""
