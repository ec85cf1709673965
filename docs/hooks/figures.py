"""Figures: the table that `make readme` prints, from the benchmarks' last results."""

from __future__ import annotations

HEAD = """# Figures

Measured by the commands on the right on two shared cores without a GPU; the last result of each, with its date and
settings, stands in `bench/results/`. Absolute times of a shared machine mean little: trust the ratios, which have both
sides in one process. An interval is a 95% bootstrap interval over test rows, or over what the benchmark repeats.

"""


def page() -> str:
    from bench.readme import table

    return HEAD + table() + "\n"
