"""Models: what a bot answers with, one version of all of it: embedder, cross-encoder, intents, weights and bars."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from apps.customer_service.confidence import Confidence
from apps.customer_service.finder import Fusion
from apps.customer_service.logistic import Logistic
from apps.customer_service.past import Past
from engine import Embedder, Predictor, Store, Version, load, successor
from engine.errors import StoreError

NAME = "support-bot"
FILE = "bundle.json"
_PLAIN = ("embedder_name", "reranker_name", "answerable_name", "intents_name", "grounding")


@dataclass(frozen=True)
class Models:
    """A bundle: stored, promoted and rolled back as one version. The models are loaded when they are first used."""

    embedder_name: str
    """A base ("minilm") or "store:NAME@NUMBER"."""
    reranker_name: str | None
    """NAME@NUMBER; None: passages stay in the order of the search."""
    answerable_name: str | None
    """NAME@NUMBER; None: nothing reads the evidence as a whole."""
    intents_name: str | None
    fusion: Fusion
    confidence: Confidence
    grounding: float
    """Cosine from which a source supports what a chat model wrote."""
    past: Past
    """Questions asked before, by vectors of the embedder."""
    version: str = ""
    """NAME@NUMBER of the bundle itself."""
    whole: str = ""
    """The version, and what feedback has made of its intents since, if anything."""

    @cached_property
    def embedder(self) -> Embedder:
        return Embedder(self.embedder_name)

    @cached_property
    def reranker(self) -> Predictor | None:
        return load(self.reranker_name) if self.reranker_name else None

    @cached_property
    def answerable(self) -> Predictor | None:
        return load(self.answerable_name) if self.answerable_name else None

    @cached_property
    def intents(self) -> Predictor | None:
        """Of the bundle, or what feedback has made of it since."""
        return load(str(successor(self.intents_name))) if self.intents_name else None

    def names(self) -> tuple[str, ...]:
        """The bundle and its parts, for an answer to name."""
        own = (self.reranker_name, self.answerable_name, self.intents_name)
        return tuple(part for part in (self.version, self.embedder_name.removeprefix("store:"), *own) if part)

    def save(self, manifest: dict[str, Any], *, promote: bool = True) -> Models:
        """Store this as the next version of the bundle."""
        store = Store()
        value = {key: found for key, found in vars(self).items() if key in _PLAIN}
        value |= {"fusion": asdict(self.fusion), "confidence": asdict(self.confidence)}
        with store.staging(NAME) as place:
            (place / FILE).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
            self.past.save(place)
            parts = [name.removeprefix("store:") for name in self.names()]
            version = store.commit(NAME, place, {"name": NAME, "components": parts, **manifest})
        if promote:
            store.promote(version)
        return Models.load(str(version))

    @classmethod
    def champion(cls) -> Models:
        """The promoted bundle, once in a process: all tenants that answer with it share what it has loaded.

        Raises:
            InputError: there is none.
            StoreError: its file is damaged.
        """
        version, whole = promoted()
        key = (version.folder, whole)
        with _SHARING:
            held = _SHARED.get(key)
            if held is None:
                held = _SHARED[key] = cls.load(str(version))
            return held

    @classmethod
    def load(cls, reference: str = NAME) -> Models:
        """The stored bundle that "support-bot", "support-bot@ALIAS" or "support-bot@NUMBER" stands for.

        Raises:
            InputError: there is none.
            StoreError: its file is damaged.
        """
        version = Store().get(reference)
        try:
            value = json.loads((version.folder / FILE).read_text(encoding="utf-8"))
            sure = value.pop("confidence")
            sentence, answer = (Logistic(**_tuples(sure[name])) for name in ("sentence", "answer"))
            confidence = Confidence(sentence, answer, tuple(sure["unanswerable"]))
            weights = value.pop("fusion")
            lean = weights.pop("lean", None)
            fusion = Fusion(**weights, lean=None if lean is None else Logistic(**_tuples(lean)))
            past = Past.load(version.folder)
            return cls(**value, fusion=fusion, confidence=confidence, past=past, version=str(version),
                       whole=_whole(version, value["intents_name"]))  # fmt: skip
        except (OSError, ValueError, TypeError, KeyError) as fault:
            raise StoreError(f"{version}: {FILE} unreadable ({fault}); see: engine models verify {version}") from None


_SHARING = Lock()
_SHARED: WeakValueDictionary[tuple[Path, str], Models] = WeakValueDictionary()
"""By folder and `whole`, for as long as a bot has them."""


def promoted() -> tuple[Version, str]:
    """The champion, and what `Models.whole` would be of it now.

    Raises:
        InputError: there is none.
    """
    version = Store().get(NAME)
    try:
        named = json.loads((version.folder / FILE).read_text(encoding="utf-8"))["intents_name"]
    except (OSError, ValueError, TypeError, KeyError):
        named = None  # whoever loads it is told what is wrong
    return version, _whole(version, named)


def _whole(version: Version, intents: str | None) -> str:
    learnt = str(successor(intents)) if intents else None
    return str(version) if learnt == intents else f"{version} with {learnt}"


def _tuples(value: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(found) if isinstance(found, list) else found for key, found in value.items()}
