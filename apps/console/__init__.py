"""Console: the three applications, the engine's API and one web console, in one process."""
