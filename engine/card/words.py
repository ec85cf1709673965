"""Words of a card: purpose and limits, told from the facts alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.data.sources import PAIRED
from engine.evaluate.details import Details
from engine.recipe import Recipe
from engine.tasks.heads import HeadSpec, specs

FEW = 30
"""Test rows of a label under which its own figures say little."""
SHOWN = 25
"""Labels named in a sentence."""
METRICS = {
    "macro_f1": "macro F1", "micro_f1": "micro F1", "accuracy": "accuracy", "ece": "calibration error",
    "ece_before": "calibration error before scaling", "span_f1": "F1 of exact spans", "r2": "R²",
    "mean_absolute_error": "mean absolute error", "ndcg10": "nDCG at 10", "mrr": "mean reciprocal rank",
    "ndcg10_before": "nDCG at 10 of the untuned base", "ndcg10_gain": "gain in nDCG at 10", "recall1": "recall at 1",
    "recall10": "recall at 10", "exact": "exact match", "f1": "F1 over words",
}  # fmt: skip
DOES = {
    "classify": "labels texts", "tag": "marks entities in texts", "extract": "finds answers to questions in passages",
    "rank": "scores how well texts fit a query", "embed": "gives texts vectors, near where they belong together",
    "choose": "labels texts by the likelihood of the labels' words", "generate": "answers prompts in words",
}  # fmt: skip


def metric(name: str) -> str:
    """A figure's name for people."""
    return METRICS.get(name, name.replace("_", " "))


def sentence(text: str) -> str:
    """The text with a capital letter, the others as they are."""
    return text[:1].upper() + text[1:]


def shown(value: Any) -> str:
    """A value of the manifest, fit for a table."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, str):
        return metric(value)
    return f"{value:.4f}" if isinstance(value, float) else str(value if value is not None else "")


def summary(manifest: Mapping[str, Any]) -> str:
    """One line: what the model does, in which languages, from which base."""
    does = DOES.get(str(manifest.get("task")), "answers")
    languages = ", ".join(manifest.get("languages", [])) or "unsaid"
    base = next(iter(manifest.get("parents", [])), "unsaid")
    return f"A model that {does} (languages: {languages}), tuned from {base}; made {manifest.get('made', 'unsaid')}."


def purpose(manifest: Mapping[str, Any], recipe: Recipe | None) -> list[str]:
    """What it is asked and what it answers."""
    if recipe is None:
        return [f"It {DOES.get(str(manifest.get('task')), 'answers')}."]
    paired = "pair" in recipe.data.columns or any(head.kind in PAIRED for head in specs(recipe.task))
    columns = f"column '{recipe.data.text_column}'" + (f" with '{recipe.data.column('pair')}'" if paired else "")
    taught = f"It {DOES[recipe.task.kind]}. It is taught on {', '.join(recipe.data.train)} ({columns})."
    return [taught, *(_answer(head) for head in specs(recipe.task) if head.labels or head.kind == "regression")]


def _answer(head: HeadSpec) -> str:
    more = f" and {len(head.labels) - SHOWN} more" if len(head.labels) > SHOWN else ""
    labels = ", ".join(head.labels[:SHOWN]) + more
    match head.kind:
        case "single":
            return f"{head.name}: one of {labels}."
        case "multi":
            return f"{head.name}: any of {labels}, or none."
        case "tags":
            return f"{head.name}: spans of {labels}."
        case _:
            return f"{head.name}: a number."


def limits(manifest: Mapping[str, Any], recipe: Recipe | None, behind: Mapping[str, Details]) -> list[str]:
    """What the facts do not bear out."""
    return list(_limits(manifest, recipe, behind))


def _limits(manifest: Mapping[str, Any], recipe: Recipe | None, behind: Mapping[str, Details]) -> Iterator[str]:
    if recipe and recipe.data.test:
        yield f"The figures hold for texts like those of {', '.join(recipe.data.test)}; others were not measured."
    else:
        yield (
            "The test rows were cut from the same files as the training rows: on texts from elsewhere, or from later, "
            "expect less than the figures say."
        )
    languages = ", ".join(manifest.get("languages", []))
    yield f"Texts in other languages than {languages or 'those of the data'} were not measured."
    if recipe:
        single = [head.name for head in specs(recipe.task) if head.kind == "single"]
        if single:
            yield f"{', '.join(single)}: one of the labels is always answered, also for a text that none of them fits."
    for head, one in behind.items():
        yield from _weak(head, one)
    for head, figures in manifest.get("metrics", {}).get("heads", {}).items():
        if "ece" in figures:
            error = figures["ece"]
            yield (
                f"{head}: its probabilities differ from the share of right answers by {error['value']:.3f} on average "
                f"(95% interval {error['low']:.3f} to {error['high']:.3f})."
            )
    if len(manifest.get("seeds", [])) == 1:
        yield "It was trained with one seed: another seed would give somewhat other figures, and how far is not known."
    rows = manifest.get("rows", {})
    if left := rows.get("rejected", 0) + rows.get("dropped_for_leaks", 0):
        yield (
            f"{left:,} rows of the data took no part: {rows.get('rejected', 0):,} could not be read, "
            f"{rows.get('dropped_for_leaks', 0):,} leaked between the parts."
        )
    yield "Nothing on this card measures fairness between groups of people, or texts written to mislead the model."


def _weak(head: str, one: Details) -> Iterator[str]:
    seen = [label for label in one.labels if label.rows]
    if seen:
        weakest = min(seen, key=lambda label: label.f1)
        rows = weakest.rows // max(1, one.seeds)
        yield f"{head}: weakest on {weakest.label}, F1 {weakest.f1:.3f} over {rows:,} test rows."
    few = [label.label for label in one.labels if label.rows // max(1, one.seeds) < FEW]
    if few:
        more = f" and {len(few) - SHOWN} more" if len(few) > SHOWN else ""
        named = ", ".join(few[:SHOWN]) + more
        yield f"{head}: fewer than {FEW} test rows have {named}; figures of such a label say little."
    if len(one.slices) > 1:
        low = min(one.slices, key=lambda part: part.value)
        yield (
            f"{head}: lowest by {low.by} at {low.name}, {metric(one.metric)} {low.value:.3f} "
            f"({low.low:.3f} to {low.high:.3f}) over {low.rows:,} rows."
        )
