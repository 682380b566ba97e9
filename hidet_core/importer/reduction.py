"""Work of the next commit."""
