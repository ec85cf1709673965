"""Vectors: each text read once by each item encoder; what it said is kept by the text's hash and mapped, not loaded."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps.recommender.past import Floats
from engine import Embedder, Store

DIGEST = 16
"""Bytes of a text's hash."""
VALUE = 4
"""Bytes of a number."""


class Vectors:
    """Unit vectors of texts by one encoder; an empty text has zeros.

    <home>/cache/recommender/<encoder>/vectors.f32    float32, a row a text
    <home>/cache/recommender/<encoder>/texts.sha      the hash of each row's text, written after it

    A row counts once its hash stands: what a killed process left behind is written over.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self.width = len(embedder.embed([""])[0])
        self.folder = Store().root.parent / "cache" / "recommender" / embedder.model.replace("/", "--")

    def of(self, texts: Sequence[str]) -> Floats:
        """Shape (texts, width), read only."""
        if not texts:
            return np.zeros((0, self.width), np.float32)
        digests = [hashlib.sha256(text.encode()).digest()[:DIGEST] for text in texts]
        rows = self._rows()
        new = {digest: text for digest, text in zip(digests, texts, strict=True) if text and digest not in rows}
        if new:
            rows = self._written(new)
        shape = (max(rows.values(), default=-1) + 1, self.width)
        kept = np.memmap(self._file("vectors.f32"), np.float32, "r", shape=shape) if rows else None
        found = np.zeros((len(texts), self.width), np.float32)
        for number, (digest, text) in enumerate(zip(digests, texts, strict=True)):
            if text and kept is not None:
                found[number] = kept[rows[digest]]
        found.setflags(write=False)
        return found

    def _rows(self) -> dict[bytes, int]:
        path = self._file("texts.sha")
        if not path.exists():
            return {}
        known = path.read_bytes()
        return {known[at : at + DIGEST]: at // DIGEST for at in range(0, len(known) - DIGEST + 1, DIGEST)}

    def _written(self, new: dict[bytes, str]) -> dict[bytes, int]:
        vectors = np.stack(list(self.embedder.stream(new.values()))).astype(np.float32)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            count = len(self._rows())  # another process may have written meanwhile; a text may then stand twice
            _put(self._file("vectors.f32"), vectors.tobytes(), count * self.width * VALUE)
            _put(self._file("texts.sha"), b"".join(new), count * DIGEST)
            return self._rows()

    def _file(self, name: str) -> Path:
        return self.folder / name


def _put(path: Path, content: bytes, at: int) -> None:
    with path.open("r+b" if path.exists() else "wb") as stream:
        stream.truncate(at)
        stream.seek(at)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
