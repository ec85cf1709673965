"""Glob: all files that match a pattern, each with a position of its own."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from apps.finance_monitor.feeds.file import File
from apps.finance_monitor.feeds.source import Entry, Start, Stream, merged
from apps.finance_monitor.mapping import Mapping
from engine.errors import InputError


class Glob:
    """Files read together, in order of event time.

    Args:
        pattern: as a shell writes it; ** stands for folders of any depth.
        follow: go on as files grow, and with new ones that match.

    Raises:
        InputError: nothing matches, nor is anything waited for.
    """

    def __init__(self, pattern: str, *, follow: bool = False, mapping: Mapping | None = None) -> None:
        self.name = pattern
        self._follow = follow
        self._mapping = mapping
        if not follow and not self._matching():
            raise InputError(f"{pattern}: no file matches; give files of JSON lines, or --follow to wait for them")

    def entries(self, start: Start | None) -> Iterator[Entry | None]:
        """As `Source` says."""
        if not self._follow:
            return merged([self._stream(path, start) for path in self._matching()])
        streams: list[Stream] = []
        streams.append(Stream(self._watch(streams, start)))
        return merged(streams)

    def committed(self, chunk: Sequence[Entry]) -> None:
        """Nobody waits to be told."""

    def close(self) -> None:
        """Nothing is open any more."""

    def _watch(self, streams: list[Stream], start: Start | None) -> Iterator[None]:
        """A stream that never has anything, but puts new files beside itself."""
        known: set[str] = set()
        while True:
            for path in self._matching():
                if path not in known:
                    known.add(path)
                    streams.append(self._stream(path, start))
            yield None

    def _stream(self, path: str, start: Start | None) -> Stream:
        return Stream(File(path, follow=self._follow, mapping=self._mapping).lines(start))

    def _matching(self) -> list[str]:
        return sorted(path for path in glob.glob(self.name, recursive=True) if Path(path).is_file())
