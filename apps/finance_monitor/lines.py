"""Lines: a file of JSON lines that mirrors what a run has found."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO


class Lines:
    """Lines written as they are found; the file is made at the first.

    Args:
        path: None: they are counted and written nowhere.
        before: what the file holds already. It is written anew, whole: a run that was killed may have left a torn or
            a missing line.
        append: keep what other runs have written.
    """

    def __init__(self, path: Path | None, before: Iterable[str] = (), *, append: bool = False) -> None:
        self.path = path
        self._mode = "a" if append else "w"
        self._stream: IO[str] | None = None
        lines = list(before)
        self.count = len(lines)
        if path and lines:
            replace(path, lines)
            self._stream = path.open("a", encoding="utf-8")

    def write(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.count += 1
            if self.path is None:
                continue
            if self._stream is None:
                self._stream = self.path.open(self._mode, encoding="utf-8")
            self._stream.write(line + "\n")
        if self._stream:
            self._stream.flush()

    def close(self) -> None:
        if self._stream:
            self._stream.close()


def replace(path: Path, lines: Iterable[str]) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    temporary.replace(path)
