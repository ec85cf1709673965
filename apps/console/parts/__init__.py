"""Parts: the applications, as one process runs them."""
