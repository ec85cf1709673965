"""Benchmarks: the figures that Keel promises, each computed by one command."""
