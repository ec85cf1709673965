"""Letters: the file of dead letters, which runs may share: each stands there once, whoever wrote it, and none goes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO


class Letters:
    """Dead letters written as they are found; the file is made at the first.

    A letter that stands there already is not written again: news that is read again, and a state that goes on, add
    nothing, but for what a kill kept from the file or cut off.

    Attributes:
        count: letters of this run and of its state.

    Args:
        path: None: they are counted and written nowhere.
        before: letters of the state so far.
    """

    def __init__(self, path: Path | None, before: Iterable[str] = ()) -> None:
        self.path = path
        self.count = 0
        self._stream: BinaryIO | None = None
        self._known: set[bytes] = set()
        self._torn = b""
        self.write(before)

    def write(self, letters: Iterable[str]) -> None:
        for letter in letters:
            self.count += 1
            if self.path is None:
                continue
            stream = self._stream = self._stream or self._opened(self.path)
            line = letter.encode() + b"\n"
            if (mark := _mark(line)) in self._known:
                continue
            self._known.add(mark)
            stream.write(self._mended(line))
        if self._stream:
            self._stream.flush()

    def close(self) -> None:
        if self._stream:
            self._stream.close()

    def _opened(self, path: Path) -> BinaryIO:
        stream = path.open("a+b")
        stream.seek(0)
        for line in stream:
            if line.endswith(b"\n"):
                self._known.add(_mark(line))
            else:
                self._torn = line
        return stream

    def _mended(self, line: bytes) -> bytes:
        """What makes a line of it behind the one that a kill cut off: this one's rest, or another run's that stays."""
        torn, self._torn = self._torn, b""
        return line.removeprefix(torn) if line.startswith(torn) else b"\n" + line


def _mark(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()[:16]
