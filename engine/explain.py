"""Explain: how much each word of a text moved a model's answer, by integrated gradients.

The attribution of an embedding x against a baseline b is (x - b) times the mean gradient of the logit on the straight
line from b to x (Sundararajan, Taly & Yan 2017, arXiv 1703.01365, eq. 1); a token's is the sum over its embedding. They
are complete: together they make the difference of the two logits (their proposition 1), which is checked each time.

explainer = Explainer(load("finance-news"))
explainer.explain("Profit fell 12% on weak demand", "sentiment")[0].words
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, KeelError
from engine.evaluate.calibration import probabilities
from engine.predictor import Predictor, Text, Tokens
from engine.tasks.heads import HeadSpec
from engine.tasks.tag import word_starts

if TYPE_CHECKING:
    import rich.text
    from torch import Tensor

EXPLAINED = "torch, fp32"
"""The form that is explained, whichever form answers: int8 has no gradients."""
STEPS, MOST_STEPS = 32, 1024
"""Points on the line from baseline to text, doubled while the attributions do not add up."""
TOLERANCE = 0.01
"""How far their sum may lie from the difference of the logits, as a share of it, or of 1 where it is less."""
BATCH_TOKENS = 1024
"""Tokens, over all points, that are in memory at a time."""
STRONGEST = 5
"""Words named under a coloured text, for terminals without colour."""


@dataclass(frozen=True)
class Word:
    """A word (of Chinese, a token) and what it adds to the logit; what the tokenizer leaves out is in no word."""

    part: int
    """0 the text, 1 the second text of a pair."""
    start: int
    end: int
    """Characters `start` to `end` of its text."""
    text: str
    attribution: float


@dataclass(frozen=True)
class Explanation:
    """Why a head gives a text a label."""

    text: str
    pair: str | None
    head: str
    label: str | None
    """None for relevance, which has one output."""
    words: tuple[Word, ...]
    """In the order of the text; what the model cut off is not there."""
    logit: float
    baseline: float
    """The logit where every word is a mask (or padding, where the model knows no mask)."""
    gap: float
    """Sum of the attributions less (logit - baseline): the error of so many steps."""
    steps: int
    probability: float
    """Calibrated, of the explained form."""
    answered: float
    """Calibrated, of the form that answers."""
    backend: str
    """The form that answers."""
    model: str


class Explainer:
    """Explains the answers of a stored model; its fp32 PyTorch form is explained, whichever answers.

    Attributes:
        predictor: what answers.

    Args:
        predictor: made by `engine.load`.

    Raises:
        InputError: its answers cannot be explained, or it is of no stored version.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.heads = explained_heads(predictor)
        if predictor.version is None:
            raise InputError(f"{predictor.model}: explain reads models of the store; load it by its name")
        import transformers

        from engine.tasks import encoder

        folder = predictor.version.folder / "model"
        self.predictor = predictor
        self._model = encoder.load(folder).requires_grad_(False)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        # Masks and padding explain alike (taking out the two first words costs .37 and .31 of the probability, measured
        # on 40 headlines), but a masked text is one that the model has read in its pretraining.
        blank = tokenizer.pad_token_id if tokenizer.mask_token_id is None else tokenizer.mask_token_id
        self._blank = int(blank or 0)

    def explain(
        self, text: Text, head: str | None = None, label: str | None = None, *, steps: int = STEPS
    ) -> list[Explanation]:
        """One explanation for each answer that is asked about.

        Args:
            text: one, or a pair for models of pairs.
            head: None: every head, or the one that has the label.
            label: None: what the model answers; where a multi-label head gives none, its most probable label.
            steps: of the integral, to begin with.

        Raises:
            InputError: there is no such head or label.
            KeelError: the attributions do not add up, however many the steps.
        """
        chosen = self._chosen(head, label)
        tokens = self.predictor.texts.tokens(text)
        (answer,) = self.predictor.predict([text])
        found = []
        for spec in chosen:
            if spec.kind == "relevance":
                found.append(self._one(text, tokens, spec, None, answer[spec.name].probability, steps))
                continue
            given = answer[spec.name]
            most_probable = max(given.probabilities, key=given.probabilities.__getitem__)
            for name in [label] if label else given.labels or [most_probable]:
                found.append(self._one(text, tokens, spec, name, given.probabilities[name], steps))
        return found

    def _chosen(self, head: str | None, label: str | None) -> list[HeadSpec]:
        known = {spec.name: spec for spec in self.heads}
        if head is not None and head not in known:
            raise InputError(f"{self.predictor.model} has no head '{head}' to explain; it has: {', '.join(known)}")
        chosen = [known[head]] if head is not None else list(known.values())
        if label is None:
            return chosen
        having = [spec for spec in chosen if label in spec.labels]
        if not having:
            labels = ", ".join(name for spec in chosen for name in spec.labels) or "none: its one output is relevance"
            raise InputError(f"{self.predictor.model} has no label '{label}' here; it has: {labels}")
        return having

    def _one(
        self, text: Text, tokens: Tokens, spec: HeadSpec, label: str | None, answered: float, steps: int
    ) -> Explanation:
        place = spec.labels.index(label) if label else 0
        ids = np.array([tokens.ids])
        blank = np.where(tokens.parts >= 0, self._blank, ids)
        logits, baseline = self._logits(ids, spec), float(self._logits(blank, spec)[place])
        difference = float(logits[place]) - baseline
        while True:
            values = self._attributions(ids, blank, spec, place, steps)
            gap = float(values.sum()) - difference
            if abs(gap) <= TOLERANCE * max(1.0, abs(difference)):
                break
            if steps >= MOST_STEPS:
                raise KeelError(
                    f"{self.predictor.model}, {spec.name}: after {steps} steps the attributions still miss the "
                    f"difference of the logits, {difference:.3f}, by {gap:+.3f}; this text cannot be explained"
                )
            steps *= 2
        first, second = (text, None) if isinstance(text, str) else text
        calibrated = probabilities(logits, self.predictor.temperatures[spec.name], multi_label=spec.kind != "single")
        return Explanation(
            first,
            second,
            spec.name,
            label,
            tuple(words(tokens, values, (first,) if second is None else (first, second))),
            logit=float(logits[place]),
            baseline=baseline,
            gap=gap,
            steps=steps,
            probability=float(calibrated[place]),
            answered=answered,
            backend=self.predictor.backend,
            model=self.predictor.model,
        )

    def _logits(self, ids: NDArray[np.int64], spec: HeadSpec) -> NDArray[np.float64]:
        import torch

        with torch.inference_mode():
            found: NDArray[np.float64] = self._forward(spec)(torch.from_numpy(ids))[0].double().numpy()
        return found

    def _attributions(
        self, ids: NDArray[np.int64], blank: NDArray[np.int64], spec: HeadSpec, place: int, steps: int
    ) -> NDArray[np.float64]:
        """Of each token, shape (tokens,)."""
        import torch
        from captum.attr import LayerIntegratedGradients

        integral = LayerIntegratedGradients(self._forward(spec), self._model.encoder.get_input_embeddings())
        found = integral.attribute(
            torch.from_numpy(ids),
            baselines=torch.from_numpy(blank),
            target=place,
            n_steps=steps,
            method="gausslegendre",
            internal_batch_size=max(1, BATCH_TOKENS // ids.shape[1]),
        )
        values: NDArray[np.float64] = found[0].double().sum(-1).numpy()
        return values

    def _forward(self, spec: HeadSpec) -> Any:
        def forward(ids: Tensor) -> Tensor:
            import torch

            found: Tensor = self._model(ids, torch.ones_like(ids))[f"logits_{spec.name}"]
            return found

        return forward


def explained_heads(predictor: Predictor) -> list[HeadSpec]:
    """The heads of a model that can be explained: labels and relevance of classify and rank.

    Raises:
        InputError: it has none.
    """
    task = predictor.spec.task
    found = [head for head in predictor.spec.heads if head.kind in ("single", "multi", "relevance")]
    if task in ("classify", "rank") and found:
        return found
    kinds = f"a model of the task {task}" if task not in ("classify", "rank") else "a model of numbers alone"
    raise InputError(
        f"{predictor.model} is {kinds}, whose answers explain does not take apart; it reads the labels of classify and "
        "the relevance of rank"
    )


def words(tokens: Tokens, values: NDArray[np.float64], texts: Sequence[str]) -> list[Word]:
    """Tokens put together to words, their values summed; nothing of a text's values is lost.

    Args:
        values: of each token, shape (tokens,).
        texts: the text, or both of a pair.
    """
    found = []
    for part, text in enumerate(texts):
        starts = set(word_starts(text, tokens.offsets, tokens.parts, part))
        groups: list[list[Any]] = []
        carried = 0.0  # of tokens that are only space, as sentencepiece's bare word mark
        for token in np.flatnonzero(tokens.parts == part).tolist():
            start, end = _without_space(text, *tokens.offsets[token].tolist())
            value = float(values[token])
            if start >= end:
                carried += value
            elif groups and (token not in starts or start < groups[-1][1]):  # pieces of one character share its place
                groups[-1][1] = max(end, groups[-1][1])
                groups[-1][2] += value
            else:
                groups.append([start, end, value + carried])
                carried = 0.0
        if groups:
            groups[-1][2] += carried
        found += [Word(part, start, end, text[start:end], value) for start, end, value in groups]
    return found


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def coloured(one: Explanation) -> rich.text.Text:
    """The text with its words in colour: green speaks for the label, red against, the strongest brightest."""
    from rich.text import Text

    shown = Text()
    shown.append(f"{one.head}{f': {one.label}' if one.label else ''}", style="bold")
    shown.append(
        f"  {one.answered:.3f} by {one.model} ({one.backend}); explained: {one.probability:.3f} ({EXPLAINED})\n"
    )
    strongest = max((abs(word.attribution) for word in one.words), default=0.0) or 1.0
    for part, text in enumerate((one.text,) if one.pair is None else (one.text, one.pair)):
        line = Text(text)
        for word in one.words:
            if word.part == part:
                share = word.attribution / strongest
                line.stylize(_style(share), word.start, word.end)
        shown.append("  ").append_text(line).append("\n")
    first = sorted(one.words, key=lambda word: -abs(word.attribution))[:STRONGEST]
    shown.append("  " + "  ".join(f"{word.text} {word.attribution:+.2f}" for word in first), style="dim")
    shown.append(
        f"\n  {one.baseline:+.2f} without words {one.logit - one.baseline:+.2f} by all words = logit {one.logit:+.2f}; "
        f"gap {one.gap:+.4f} after {one.steps} steps\n",
        style="dim",
    )
    return shown


def _style(share: float) -> str:
    """On black: dark for little, bright for much."""
    depth = round(40 + 140 * abs(share))
    if abs(share) < 0.05:
        return ""
    return f"white on rgb(0,{depth},0)" if share > 0 else f"white on rgb({depth},0,0)"
