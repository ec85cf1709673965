"""Repeats: what was answered lately is not asked again; only for the very same text, so that a replay is exact."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from apps.finance_monitor.stories import Vector
from engine import Embedder

SIZE = 8192
"""Texts remembered, some days of a busy wire: 13 MB of vectors."""
T = TypeVar("T")


class Repeats(Generic[T]):
    """The answers to the texts seen last.

    Attributes:
        repeated: texts so far whose answer was there already.
    """

    def __init__(self, ask: Callable[[list[str]], Iterable[T]], *, size: int = SIZE) -> None:
        self._ask = ask
        self._size = size
        self.repeated = 0
        self._known: OrderedDict[str, T] = OrderedDict()

    def answers(self, texts: Iterable[str]) -> list[T]:
        """One answer a text, in order."""
        asked = list(texts)
        new = [text for text in dict.fromkeys(asked) if text not in self._known]
        self.repeated += len(asked) - len(new)
        fresh = dict(zip(new, self._ask(new), strict=True)) if new else {}
        found = []
        for text in asked:
            if text in fresh:
                answer = fresh[text]
            else:
                answer = self._known[text]
                self._known.move_to_end(text)
            found.append(answer)
        self._known |= fresh
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return found


class Vectors:
    """An embedder that does not embed the same text twice."""

    def __init__(self, embedder: Embedder) -> None:
        self._repeats: Repeats[Vector] = Repeats(embedder.stream)

    def stream(self, texts: Iterable[str]) -> Iterator[Vector]:
        """Unit vectors, one of shape (width,) a text."""
        yield from self._repeats.answers(texts)
