"""N-grams of a text are its own, whatever stands beside it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance_monitor.ngrams import BITS, WIDTH, features

TEXTS = st.lists(st.text(st.sampled_from("ab 0\n中国é\ud800"), max_size=12) | st.text(max_size=6), max_size=5)


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_a_row_never_depends_on_the_others(texts: list[str]) -> None:
    together = features(texts)
    assert together.shape == (len(texts), WIDTH)
    for number, text in enumerate(texts):
        alone = features([text])
        mine = slice(*together.indptr[number : number + 2])
        assert np.array_equal(together.indices[mine], alone.indices)
        assert np.array_equal(together.data[mine], alone.data)


def test_words_pairs_and_runs_within_words_are_counted() -> None:
    (row,) = (features(["Profit  rose 12%"]),)
    assert (row.indices < 1 << BITS).sum() == 3 + 2
    assert (row.indices >= 1 << BITS).sum() == (6 + 5 + 4) + (4 + 3 + 2) + (3 + 2 + 1)
    assert np.isclose((row.data**2).sum(), 2.0)
    assert set(row.indices) == set(features(["profit rose 34%"]).indices)
    assert (features(["中国银行"]).indices < 1 << BITS).sum() == 4 + 3
