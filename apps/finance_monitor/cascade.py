"""Cascade: a repeat is answered from memory, a text that its stand-in is sure of by that, the rest by the champion.

Under overload the stand-in answers all of them, sure or not, so that no item is dropped. Which one answered is told in
a prediction's `backend`, and is kept with the labels: a replay reads it and does not decide again.

The champion answers one text a call, on a session a core: int8 shares one scale over a batch, and a replay would then
depend on how the feed was cut. Of PhraseBank's test sentences two busy cores so answered 41/s, batches of 1,024 tokens
29/s on one session of two threads and 51/s on two sessions.
"""

from __future__ import annotations

from collections.abc import Sequence

from apps.finance_monitor.linear import Linear
from apps.finance_monitor.repeats import Repeats
from engine import Answer, Prediction, Predictor, Version

CHEAP, OVERLOAD = "cheap", "overload"
"""Backends of answers that the champion did not give: by the stand-in, as it was sure, or as there was no time."""


class Cascade:
    """Quacks as the champion.

    Attributes:
        overloaded: set while more waits than the champion can answer in time.

    Args:
        linear: None: the champion answers all, under overload too.
        spare: the stand-in is there for overload only, be it ever so sure.
    """

    def __init__(self, champion: Predictor, linear: Linear | None = None, *, spare: bool = False) -> None:
        self.champion = champion
        self.spec = champion.spec
        self.overloaded = False
        self._linear = linear
        self._spare = spare
        self._repeats = Repeats(self._ask)

    @property
    def model(self) -> str:
        return self.champion.model

    @property
    def version(self) -> Version | None:
        return self.champion.version

    @property
    def repeated(self) -> int:
        """Texts so far that were answered from memory."""
        return self._repeats.repeated

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One result a text, in order; the same text gets the same result, unless under overload."""
        if self.overloaded and self._linear:
            return [self._told(heads, OVERLOAD) for heads, _ in self._linear.answers(texts)]
        return self._repeats.answers(texts)

    def _ask(self, texts: list[str]) -> list[Prediction]:
        if self._linear is None or self._spare:
            return self.champion.predict(texts)
        guesses = self._linear.answers(texts)
        sure = [of >= self._linear.sure for _, of in guesses]
        said = iter(self.champion.predict([text for text, skip in zip(texts, sure, strict=True) if not skip]))
        return [
            self._told(heads, CHEAP) if skip else next(said) for (heads, _), skip in zip(guesses, sure, strict=True)
        ]

    def _told(self, heads: dict[str, Answer], backend: str) -> Prediction:
        return Prediction(heads, self.model, backend)
