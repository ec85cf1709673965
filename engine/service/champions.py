"""Champions: stored models of texts, each the version that its alias stands for now, ready to answer."""

from __future__ import annotations

from collections.abc import Sequence

from engine.predictor import Predictor
from engine.service.current import MOST, Current
from engine.service.renewal import EVERY_S
from engine.store import Store, Version


class Champions(Current[Predictor]):
    """As `Current`, of predictors: `get("finance-news")` is what answers now."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        wanted: Sequence[str] = (),
        most: int = MOST,
        every_s: float = EVERY_S,
    ) -> None:
        super().__init__(_opened, store=store, wanted=wanted, most=most, every_s=every_s)

    def holds(self, reference: str) -> bool:
        """Whether that is a model of texts; a bundle, such as a ranker, is none."""
        return (self.store.get(reference).folder / "model" / "heads.json").is_file()


def _opened(version: Version) -> Predictor:
    found = Predictor.open(version.folder, model=str(version))
    found.version = version
    if found.spec.task != "generate":  # it writes long, and has nothing left to load
        found.one(("ready", "ready") if found.spec.pairs else "ready")
    return found
