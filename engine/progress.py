"""Progress for people: bars on stderr when it is a terminal, a line a stage otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any


class Progress:
    """A watcher for `train` and other long work.

    Args:
        quiet: say nothing at all.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._note = ""
        self._started = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def stage(self, text: str) -> None:
        self._close()
        if not self._quiet:
            sys.stderr.write(f"[{time.monotonic() - self._started:4.0f}s] {text}\n")
            sys.stderr.flush()

    def step(self, done: int, total: int, note: str) -> None:
        if self._quiet:
            return
        if sys.stderr.isatty():
            self._draw(done, total, note)
        elif note and note != self._note:
            self.stage(f"step {done}/{total}  {note}")
        self._note = note

    def scored(self, epoch: int, score: float) -> None:
        """Nothing: the step's note tells it."""

    def _draw(self, done: int, total: int, note: str) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=total, note=note)
        self._bar.update(self._task, completed=done, total=total, note=note)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
