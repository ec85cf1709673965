"""Methods: the ways of making a new text of a row's, chosen by name."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from engine.data.augment import translators
from engine.data.augment.noise import noisy
from engine.data.augment.synonyms import OfFile, OfNeighbours, OfWordNet, Thesaurus, ordinary_words, replaced
from engine.data.augment.wordnet import DEFAULT as WORDNET
from engine.data.augment.wordnet import WordNet
from engine.errors import InputError

Name = Literal["typos", "synonyms", "back_translation", "paraphrase"]
STRENGTHS: dict[str, float] = {"typos": 0.05, "synonyms": 0.15}
LANGUAGES = {
    "ar": "Arabic", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "pl": "Polish",
    "pt": "Portuguese", "ru": "Russian", "sv": "Swedish", "th": "Thai", "zh": "Chinese",
}  # fmt: skip
"""Codes that `engine.text.languages.detect` tells, as a chat model is told them."""


_USES = {
    "typos": {"strength"},
    "synonyms": {"strength", "synonyms"},
    "back_translation": {"model", "back", "prefix", "url", "pivot"},
    "paraphrase": {"model", "prefix", "url"},
}


@dataclass(frozen=True)
class Options:
    """What a method is to do; an option that the method has no use for is refused."""

    method: Name
    strength: float | None = None
    """Share of the letters (typos) or words (synonyms) that change."""
    synonyms: str | None = None
    """A file of synonyms or WordNet's folder."""
    model: str | None = None
    """An encoder-decoder model: its folder or hub id; with `url`, the name of the endpoint's model."""
    back: str | None = None
    """The encoder-decoder model that translates back."""
    prefix: str | None = None
    """What `model` wants before a text."""
    url: str | None = None
    """Base URL of an OpenAI-compatible endpoint."""
    pivot: str | None = None
    """Language code to translate into and back from, by an endpoint."""
    seed: int = 13

    def __post_init__(self) -> None:
        if self.method not in get_args(Name):
            raise InputError(f"--method {self.method}: choose {', '.join(get_args(Name))}")
        uses = _USES[self.method]
        for name, value in vars(self).items():
            if value is not None and name not in uses | {"method", "seed"}:
                raise InputError(f"--{name} is nothing that {self.method} uses; it takes --{', --'.join(sorted(uses))}")
        if "model" in uses and self.model is None:
            raise InputError(
                f"{self.method} needs --model: an encoder-decoder's folder or hub id, or with --url an endpoint's model"
            )
        if self.url and (self.back or self.prefix):
            raise InputError("--back and --prefix are for models on this machine; with --url leave them out")
        if self.method == "back_translation" and not self.url and (self.back is None or self.pivot):
            raise InputError(
                "back_translation takes --model and --back, one model a direction (Helsinki-NLP/opus-mt-en-de and "
                "opus-mt-de-en), or --url with --pivot"
            )


@dataclass(frozen=True)
class Method:
    """A way of making new texts, ready to use."""

    rewrite: Callable[[Sequence[str]], Iterator[str]]
    """One new text for each, in order; the same text or an empty one where none can be made."""
    language: str | None
    """Only texts in this language can be rewritten; None: any."""
    free: bool
    """Whether the new text may say anything: then its numbers and negations are compared with the old one's."""
    by: str
    """What makes the texts, for the report."""


def build(options: Options, texts: Sequence[str], language: str, base: str) -> Method:
    """The method of the options.

    Args:
        texts: the train texts.
        language: ISO 639-1 code of the language to rewrite, where the method needs to know.
        base: whose vectors tell a word's neighbours, where there is no thesaurus.
    """
    draw = random.Random(options.seed)
    strength = options.strength if options.strength is not None else STRENGTHS.get(options.method, 0.0)
    if options.method == "typos":
        return Method(lambda given: (noisy(text, strength, draw) for text in given), None, False, "noise")
    if options.method == "synonyms":
        thesaurus, by = _thesaurus(options.synonyms, texts, base)
        ordinary = ordinary_words(texts)
        spoken = "en" if isinstance(thesaurus, OfWordNet) else None

        def exchanged(given: Sequence[str]) -> Iterator[str]:
            return (replaced(text, thesaurus, strength, draw, ordinary) for text in given)

        return Method(exchanged, spoken, False, by)
    model = options.model or ""
    if options.method == "paraphrase":
        if options.url:
            asked = translators.Endpoint(options.url, model, translators.PARAPHRASE, seed=options.seed)
            return Method(asked.stream, None, True, f"{model} at {options.url}")
        own = translators.Seq2Seq(model, prefix=options.prefix or "", seed=options.seed)
        return Method(own.stream, language, True, model)
    there, back, by = _directions(options, model, language)
    return Method(lambda given: back.stream(list(there.stream(given))), language, True, by)


def _thesaurus(name: str | None, texts: Sequence[str], base: str) -> tuple[Thesaurus, str]:
    if name is None and not WORDNET.is_dir():
        from engine.embedder import Embedder

        return OfNeighbours(texts, Embedder(base).embed), f"neighbours by {base}"
    path = Path(name) if name else WORDNET
    if path.is_dir():
        return OfWordNet(WordNet(path)), f"WordNet in {path}"
    return OfFile(path), str(path)


def _directions(
    options: Options, model: str, language: str
) -> tuple[translators.Translator, translators.Translator, str]:
    if options.url is None:
        there = translators.Seq2Seq(model, prefix=options.prefix or "", seed=options.seed)
        return there, translators.Seq2Seq(options.back or "", seed=options.seed), f"{model} and {options.back}"
    pivot = options.pivot or ("de" if language == "en" else "en")
    if unknown := {pivot, language} - LANGUAGES.keys():
        raise InputError(f"language {min(unknown)}: Keel knows {', '.join(LANGUAGES)}")
    if pivot == language:
        raise InputError(f"--pivot {pivot}: is the language of the texts; give another")
    ask = [translators.TRANSLATE.format(language=LANGUAGES[code]) for code in (pivot, language)]
    ends = [translators.Endpoint(options.url, model, instruction, seed=options.seed) for instruction in ask]
    return ends[0], ends[1], f"{model} at {options.url}, by {LANGUAGES[pivot]}"
