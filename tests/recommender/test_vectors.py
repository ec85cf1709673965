"""A text is read once by each encoder, and what a killed process left behind is written over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from apps.recommender.vectors import Vectors
from engine import Embedder


class Counted(Embedder):
    """Vectors by the length of a text; counts what it reads."""

    def __init__(self, name: str = "counted") -> None:
        self.model, self.seen = name, 0

    def stream(self, texts: Iterable[str], *, side: str = "text") -> Iterator[NDArray[np.float32]]:
        for text in texts:
            self.seen += 1
            yield np.array([len(text), 1.0], np.float32) / np.float32(np.hypot(len(text), 1))


def test_each_text_is_read_once() -> None:
    embedder = Counted()
    vectors = Vectors(embedder)
    embedder.seen = 0
    first = vectors.of(["a", "bb", "", "a"])
    assert embedder.seen == 2
    assert (first[0] == first[3]).all()
    assert not first[2].any()
    assert not first.flags.writeable
    again = Vectors(embedder)
    embedder.seen = 0
    assert (again.of(["bb", "a", "ccc"])[:2] == first[[1, 0]]).all()
    assert embedder.seen == 1
    assert Vectors(Counted("another")).folder != vectors.folder
    assert again.of([]).shape == (0, 2)


def test_half_written_rows_do_not_count() -> None:
    vectors = Vectors(Counted())
    whole = vectors.of(["a", "bb"])
    with (vectors.folder / "vectors.f32").open("ab") as stream:
        stream.write(b"\x00" * 5)
    with (vectors.folder / "texts.sha").open("ab") as stream:
        stream.write(b"\x00" * 3)
    assert (vectors.of(["a", "bb"]) == whole).all()
    later = vectors.of(["a", "bb", "dddd"])
    assert (later[:2] == whole).all()
    np.testing.assert_allclose(later[2], [4 / 17**0.5, 1 / 17**0.5], rtol=1e-6)
