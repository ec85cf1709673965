"""Facts of a version, as sections that any form of the card is drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.card import charts, words
from engine.evaluate import details
from engine.evaluate.details import Details
from engine.recipe import Recipe
from engine.store import Version

MOST_LABELS = 20
"""Labels of the largest matrix that can still be read; of more, the most frequent confusions are listed."""
MOST_CONFUSIONS = 15


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawing, and what it shows in words for those who do not see it."""

    title: str
    svg: str
    told: str


@dataclass(frozen=True)
class Prose:
    """Paragraphs, or with `listed` points of a list."""

    texts: Sequence[str]
    listed: bool = False


@dataclass(frozen=True)
class Source:
    """A file's text, word for word."""

    title: str
    text: str


Block = Table | Chart | Prose | Source


@dataclass(frozen=True)
class Section:
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Card:
    title: str
    summary: str
    sections: Sequence[Section]


def stored(version: Version, *, speed: Table | None = None) -> Card:
    """The card of a stored version.

    Raises:
        StoreError: its manifest cannot be read.
    """
    path = version.folder / "recipe.yaml"
    recipe = Recipe.load(path) if path.exists() else None
    return of(version.manifest(), recipe, details.read(version.folder), title=str(version), speed=speed)


def of(
    manifest: Mapping[str, Any],
    recipe: Recipe | None,
    behind: Mapping[str, Details],
    *,
    title: str = "",
    speed: Table | None = None,
) -> Card:
    """The card of what a manifest says; what a version does not know of itself is left out."""
    sections = [
        Section("What it is for", [Prose(words.purpose(manifest, recipe))]),
        Section("Limits", [Prose(words.limits(manifest, recipe, behind), listed=True)]),
        Section("Figures on test rows", list(_figures(manifest))),
        *(Section(f"Head {head}", list(_head(one))) for head, one in behind.items()),
        Section("Training", list(_training(manifest))),
        Section("Federated training", list(_federated(manifest))),
        Section("Export", list(_export(manifest))),
        Section("Speed", [speed] if speed else []),
        Section("Lineage", list(_lineage(manifest, recipe))),
    ]
    name = title or str(manifest["name"])
    return Card(name, words.summary(manifest), [section for section in sections if section.blocks])


def _figures(manifest: Mapping[str, Any]) -> Iterator[Block]:
    heads = manifest.get("metrics", {}).get("heads", {})
    rows = [
        (head, words.metric(name), f"{of['value']:.3f}", f"{of['low']:.3f} to {of['high']:.3f}")
        for head, figures in heads.items()
        for name, of in figures.items()
    ]
    if rows:
        yield Table(("head", "figure", "value", "95% interval"), rows)
        seeds = manifest.get("seeds", [])
        over = f"means over the seeds {', '.join(map(str, seeds))}, of which the one best on dev is stored; "
        told = f"{over if len(seeds) > 1 else ''}intervals by bootstrap over the test rows."
        yield Prose([words.sentence(told)])


def _head(one: Details) -> Iterator[Block]:
    seeds = f", over {one.seeds} seeds" if one.seeds > 1 else ""
    if any(label.rows or label.given for label in one.labels):
        rows = [
            (label.label, f"{label.rows:,}", f"{label.precision:.3f}", f"{label.recall:.3f}", f"{label.f1:.3f}")
            for label in one.labels
        ]
        yield Table(("label", "rows", "precision", "recall", "F1"), rows, f"Label by label{seeds}")
    if one.confusion:
        names = [label.label for label in one.labels]
        if len(names) <= MOST_LABELS:
            told = "Rows by true label (down) and answer (across), coloured by their share of the line."
            yield Chart(f"Confusions{seeds}", charts.matrix(names, one.confusion), told)
        if len(names) > 2 and (wrong := _confusions(names, one.confusion)):
            yield Table(("true label", "answered", "rows"), wrong, f"Most frequent confusions{seeds}")
    if one.bins:
        told = "Share of right answers by the probability they were given with; on the diagonal they agree."
        yield Chart(f"Calibration{seeds}", charts.reliability(one.bins), told)
    if one.slices:
        rows = [
            (part.by, part.name, f"{part.rows:,}", f"{part.value:.3f}", f"{part.low:.3f} to {part.high:.3f}")
            for part in one.slices
        ]
        metric = words.metric(one.metric)
        yield Table(("by", "slice", "rows", metric, "95% interval"), rows, "Slices of the test rows")
        bars = [(f"{part.name} ({part.rows:,})", part.value, part.low, part.high) for part in one.slices]
        yield Chart(f"{words.sentence(metric)} of the slices", charts.ranges(bars), "Value and 95% interval.")


def _confusions(names: Sequence[str], counts: Sequence[Sequence[int]]) -> list[tuple[str, str, str]]:
    wrong = [
        (count, names[true], names[answer])
        for true, row in enumerate(counts)
        for answer, count in enumerate(row)
        if true != answer and count
    ]
    wrong.sort(key=lambda one: -one[0])
    return [(true, answer, f"{count:,}") for count, true, answer in wrong[:MOST_CONFUSIONS]]


def _training(manifest: Mapping[str, Any]) -> Iterator[Block]:
    rows = [(f"rows {name.replace('_', ' ')}", f"{count:,}") for name, count in manifest.get("rows", {}).items()]
    if sizes := manifest.get("parameters"):
        share = sizes["trainable"] / max(1, sizes["all"])
        rows.append(("parameters that learnt", f"{sizes['trainable']:,} of {sizes['all']:,} ({share:.2%})"))
    if seeds := manifest.get("seeds"):
        rows.append(("seeds", ", ".join(map(str, seeds)) + f" (stored: {manifest.get('seed')})"))
    if (seconds := manifest.get("seconds")) is not None:
        rows.append(("seconds of tuning", f"{seconds:,}"))
    if peak := manifest.get("peak_memory_mb"):
        rows.append(("peak memory of the process", f"{peak:,} MB"))
    if rows:
        yield Table(("what", "value"), rows)
    history = manifest.get("history", [])
    for key, name in (("loss", "Loss on train rows"), ("score", "Score on dev rows")):
        points = [(one["epoch"], one[key]) for one in history if one.get(key) is not None]
        if len(points) > 1:
            told = ", ".join(f"epoch {epoch}: {value:.3f}" for epoch, value in points)
            yield Chart(f"{name}, by epoch", charts.line(points), told)


def _federated(manifest: Mapping[str, Any]) -> Iterator[Block]:
    told = manifest.get("federated")
    if not told:
        return
    held = f", proximal term {told['mu']:g}" if told["mu"] else ""
    epochs = f"{told['local_epochs']} local epoch{'s' if told['local_epochs'] > 1 else ''}"
    rounds = f"{told['rounds']} round{'s' if told['rounds'] > 1 else ''}"
    shared = ", ".join(f"{name} {words.shown(value)}" for name, value in told["sharing"].items())
    yield Prose(
        [
            f"Trained by {told['strategy']}{held} in {rounds} of {epochs} over {len(told['clients'])} clients "
            f"({shared}). {words.sentence(told['privacy'])}.",
            f"Heads begin by {told['head_start']}; calibrated by {told['calibrated_by']}; the export was made and "
            f"checked by {told['exported_by']}.",
        ]
    )
    columns = ("client", "rows train", "rows dev", "rows calibration")
    yield Table(columns, [[str(value) for value in client.values()] for client in told["clients"]])
    if told["gaps"]:
        rows = [
            (one["head"], words.metric(one["metric"]), f"{one['federated']:.3f}", f"{one['pooled']:.3f}",
             f"{one['value']:+.3f}", f"{one['low']:+.3f} to {one['high']:+.3f}")
            for one in told["gaps"]
        ]  # fmt: skip
        title = f"Against {told['pooled']}, trained on all rows (a positive gap: federated is worse)"
        yield Table(("head", "figure", "federated", "pooled", "gap", "95% of it"), rows, title)


def _export(manifest: Mapping[str, Any]) -> Iterator[Block]:
    export = manifest.get("export", {})
    if export.get("format", "none") == "none":
        return
    yield Prose([f"Answers from {export['format'].upper()}, {export['precision']}, unless torch is asked for."])
    losses = export.get("losses", [])
    if losses:
        columns = tuple(dict.fromkeys(key for loss in losses for key in loss))
        rows = [[words.shown(loss.get(column)) for column in columns] for loss in losses]
        title = "What the export loses, asked in a fresh process on dev and calibration rows"
        yield Table(tuple(column.replace("_", " ") for column in columns), rows, title)


def _lineage(manifest: Mapping[str, Any], recipe: Recipe | None) -> Iterator[Block]:
    rows = [("made", str(manifest.get("made", "")))]
    rows += [("made from", str(parent)) for parent in manifest.get("parents", [])]
    rows += [(f"data {name}", f"SHA-256 {digest}") for name, digest in manifest.get("data_sha256", {}).items()]
    if digest := manifest.get("recipe_sha256"):
        rows.append(("recipe", f"SHA-256 {digest}"))
    if commit := manifest.get("git_commit"):
        rows.append(("git commit", str(commit)))
    libraries = {"python": manifest.get("python"), **manifest.get("libraries", {})}
    rows.append(("libraries", ", ".join(f"{name} {version}" for name, version in libraries.items() if version)))
    rows.append(("run", str(manifest.get("run", ""))))
    yield Table(("what", "value"), [(name, value) for name, value in rows if value])
    if recipe:
        yield Source("Recipe", recipe.yaml())
