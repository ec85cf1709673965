"""794 articles of a shop platform: read, read again unchanged, and the memory that took."""

from __future__ import annotations

import resource
import time

from apps.customer_service.ingest import ingest
from bench import support
from bench.contract import Figures, public_data
from engine import Embedder, Progress


def run(*, seeds: int) -> Figures:
    """Seconds, without those of loading the model; megabytes of resident memory at most."""
    folder = public_data("magento_kb")
    knowledge, embedder = support.fresh_knowledge("magento"), Embedder("minilm")
    with Progress() as progress:
        started = time.perf_counter()
        done = ingest([folder], knowledge, embedder, progress)
        middle = time.perf_counter()
        again = ingest([folder], knowledge, embedder, progress)
        ended = time.perf_counter()
    assert again.documents == 0
    return Figures(
        {
            "seconds": middle - started,
            "seconds_unchanged": ended - middle,
            "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        },
        {},
        {"seeds": 1, "documents": done.documents, "chunks": done.chunks, "rejected": len(done.rejected)},
    )
