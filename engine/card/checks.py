"""Checks as sections of a card: each probe and exchange with its figures, bounds and examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.card.facts import Block, Card, Prose, Section, Table
from engine.evaluate.asked import LEAST, Example
from engine.evaluate.fairness import Gap
from engine.evaluate.robustness import Probe


def card(model: str, texts: str, probes: Sequence[Probe], gaps: Sequence[Gap]) -> Card:
    """Of one model.

    Args:
        texts: which texts were asked, in words.
    """
    every: list[Probe | Gap] = [*probes, *gaps]
    broken = sum(not one.held for one in every)
    summary = f"{model} on {texts}; bounds that do not hold: {broken or 'none'}."
    sections = [
        Section("Robustness", list(_robustness(probes))),
        Section("Fairness", list(_fairness(gaps))),
    ]
    return Card(f"{model}, checked", summary, [section for section in sections if section.blocks])


def _robustness(probes: Sequence[Probe]) -> Iterator[Block]:
    if not probes:
        return
    rows = [
        (one.head, name(one.name), one.kind, f"{one.tried:,}", f"{one.rate:.3f}", _range(one.interval),
         f"{one.bound:g}", verdict(one))
        for one in probes
    ]  # fmt: skip
    yield Table(("head", "probe", "kind", "texts", "failures", "95% interval", "bound", "held"), rows)
    yield Prose([f"{name(one.name)}: {one.built}." for one in {one.name: one for one in probes}.values()], listed=True)
    for one in probes:
        yield from _examples(f"{one.head}, {name(one.name)}: failures", one.examples)


def _fairness(gaps: Sequence[Gap]) -> Iterator[Block]:
    if not gaps:
        return
    rows = [
        (one.head, one.name, f"{one.tried:,}", f"{one.inside:,}", f"{one.gap:.3f}", _range(one.interval),
         f"{one.flips:.3f}", _range(one.flips_interval), one.lean, f"{one.max_gap:g}, {one.max_flips:g}", verdict(one))
        for one in gaps
    ]  # fmt: skip
    columns = (
        "head", "exchanged", "texts", "of their own", "gap", "95% interval", "flips", "95% interval", "leans to",
        "bounds", "held",
    )  # fmt: skip
    yield Table(columns, rows)
    yield Prose([f"{one.name}: {one.built}." for one in {one.name: one for one in gaps}.values()], listed=True)
    for one in gaps:
        yield from _examples(f"{one.head}, {one.name}: the farthest moved", one.examples)


def _examples(title: str, examples: Sequence[Example]) -> Iterator[Block]:
    if examples:
        yield Table(
            ("text", "answer", "changed", "answer then"),
            [(one.text, one.before, one.changed, one.after) for one in examples],
            title,
        )


def name(probe: str) -> str:
    """A probe's name for people."""
    return probe.replace("_", " ")


def verdict(one: Probe | Gap) -> str:
    """Whether it holds, or too few texts say so."""
    return "too few texts" if one.tried < LEAST else "yes" if one.held else "NO"


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"
