"""`engine data ...`: check, clean, split and augment the rows of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import InputError
from engine.printing import Json, print_json, print_table

if TYPE_CHECKING:
    from engine.data.augment.augmentation import Report as Augmented
    from engine.data.check import Report
    from engine.data.clean import Cleaned

data = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Data.\n\nExample: engine data check recipes/finance_news.yaml"
)
Settings = Annotated[list[str], typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the recipe.")]
Out = Annotated[str, typer.Option("--out", "-o", help="Where to write.")]
MOST_SHOWN = 10
LONGEST = 120
"""Characters of a text that are shown."""


@data.command()
def check(
    source: Annotated[str, typer.Argument(help="A recipe (.yaml), or a data file.")],
    text: Annotated[str | None, typer.Option(help="Of a data file: the text's column [default: text].")] = None,
    label: Annotated[list[str], typer.Option(help="Of a data file: a label column [default: label, if any].")] = [],  # noqa: B006
    group: Annotated[str | None, typer.Option(help="Of a data file: the column that a split keeps together.")] = None,
    base: Annotated[str | None, typer.Option(help="Of a data file: the base to measure by [default: minilm].")] = None,
    suspects: Annotated[
        int, typer.Option(min=0, help="Probable label errors to name; 0 does not look for any, which is fast.")
    ] = 20,
    settings: Settings = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """What is in the data, what training would refuse (then exit code 1), and which labels are probably wrong.

    Example: engine data check labelled.csv --text headline --label sentiment
    """
    from engine.data.check import check as run
    from engine.data.subject import Subject
    from engine.progress import Progress
    from engine.recipe import Recipe

    if Path(source).suffix.lower() in (".yaml", ".yml"):
        if text or label or group or base:
            raise InputError("--text, --label, --group and --base are for a data file; a recipe says so itself (--set)")
        subject = Subject.of_recipe(Recipe.load(source, settings))
    else:
        if settings:
            raise InputError("--set changes a recipe; for a data file give --text, --label, --group and --base")
        subject = Subject.of_file(source, text=text or "text", labels=label, group=group, base=base or "minilm")
    with Progress(quiet=as_json) as progress:
        report = run(subject, most=suspects, watcher=progress)
    if as_json:
        print_json(report.as_dict())
    else:
        _show_check(report)
    if report.faults:
        raise typer.Exit(1)


@data.command()
def clean(
    file: Annotated[str, typer.Argument(help="CSV, JSONL or Parquet.")],
    out: Out,
    text: Annotated[list[str], typer.Option(help="A column to clean; the first must not be empty.")] = ["text"],  # noqa: B006
    keep_html: Annotated[bool, typer.Option("--keep-html", help="Leave tags and entities as they are.")] = False,
    mask_pii: Annotated[bool, typer.Option("--mask-pii", help="Put [EMAIL], [PHONE] and so on for them.")] = False,
    as_json: Json = False,
) -> None:
    """Unicode, HTML, whitespace and, if asked, personal data; the rows to JSON lines, bad ones to OUT.rejected.jsonl.

    Example: engine data clean raw.csv -o clean.jsonl --text title --text body --mask-pii
    """
    from engine.data.clean import clean_file, rejected_path
    from engine.data.files import json_lines_path

    path = json_lines_path(out)
    done = clean_file(file, path, text, html=not keep_html, mask_pii=mask_pii)
    if as_json:
        print_json({"out": str(path), **done.as_dict()})
    else:
        _show_clean(done, path, rejected_path(path))


@data.command()
def split(
    file: Annotated[str, typer.Argument(help="CSV, JSONL or Parquet.")],
    out: Annotated[str, typer.Option("--out", "-o", help="A folder, new or empty.")],
    test: Annotated[float, typer.Option(help="Share of the rows.")] = 0.15,
    dev: Annotated[float, typer.Option(help="Share of the rows.")] = 0.1,
    calibration: Annotated[float, typer.Option(help="Share of the rows.")] = 0.1,
    text: Annotated[str, typer.Option(help="The text's column.")] = "text",
    label: Annotated[str | None, typer.Option(help="The column to spread evenly [default: label, if any].")] = None,
    group: Annotated[str | None, typer.Option(help="The column whose equal values stay on one side.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed cuts alike.")] = 13,
    as_json: Json = False,
) -> None:
    """train, dev, calibration and test as JSON lines; groups and near-duplicates stay whole.

    Example: engine data split labelled.csv -o parts --label sentiment --group story
    """
    from pydantic import ValidationError

    from engine.data.cutting import cut_file
    from engine.recipe import Split

    try:
        shares = Split(test=test, dev=dev, calibration=calibration, group=group, seed=seed)
    except ValidationError as fault:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}".strip() for one in fault.errors())
        raise InputError(f"the shares do not make a split: {told}") from None
    done = cut_file(file, Path(out).expanduser(), shares, text=text, label=label)
    if as_json:
        print_json({"out": out, **done.as_dict()})
        return
    print_table(
        f"{file} to {out}", [{"part": part, "rows": rows, **done.labels[part]} for part, rows in done.rows.items()]
    )
    if done.rejected:
        typer.echo(f"{done.rejected} bad rows: see {Path(out) / 'rejected.jsonl'}")


@data.command()
def augment(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the path of a packaged one.")],
    out: Out,
    method: Annotated[str, typer.Option(help="typos, synonyms, back_translation or paraphrase.")],
    share: Annotated[float, typer.Option(help="New rows to try for each row of train.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same rows.")] = 13,
    strength: Annotated[
        float | None, typer.Option(help="Share of letters (typos, 0.05) or of words (synonyms, 0.15) that change.")
    ] = None,
    synonyms: Annotated[
        str | None,
        typer.Option(help="A file of 'word: other, another', or WordNet's folder [default: Debian's, if any]."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="An encoder-decoder's folder or hub id; with --url the endpoint's model.")
    ] = None,
    back: Annotated[str | None, typer.Option(help="The encoder-decoder that translates back.")] = None,
    prefix: Annotated[str | None, typer.Option(help="What MODEL wants before a text ('paraphrase: ').")] = None,
    url: Annotated[
        str | None, typer.Option(help="OpenAI-compatible endpoint that the texts are sent to; key: OPENAI_API_KEY.")
    ] = None,
    pivot: Annotated[
        str | None, typer.Option(help="With --url: code of the language to go through [default: de].")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Code of the texts' language, for translators [default: the recipe's first].")
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Train with and without the rows and compare.")] = False,
    settings: Settings = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """More train rows, with their labels, held against dev, calibration and test; a report lies beside them.

    Example: engine data augment recipes/finance_news.yaml -o more.jsonl --method synonyms --share 0.5
    """
    from engine.data.augment import augmentation
    from engine.data.augment import measure as judge
    from engine.data.augment.methods import Options
    from engine.data.files import json_lines_path
    from engine.progress import Progress
    from engine.recipe import Recipe

    path, made = json_lines_path(out), Recipe.load(recipe, settings)
    options = Options(method, strength, synonyms, model, back, prefix, url, pivot, seed)  # type: ignore[arg-type]
    if measure:
        judge.check_task(made)
    with Progress(quiet=as_json) as progress:
        rows, report = augmentation.augment(made, options, share=share, language=language, watcher=progress)
        beside = augmentation.write(path, rows, report)
        if measure and rows:
            report.measured = judge.measure(made, str(path), watcher=progress).as_dict()
            augmentation.write(path, rows, report)
    if as_json:
        print_json({"out": str(path), "report": str(beside), **vars(report)})
    else:
        _show_augmented(report, path)
    if not rows:
        raise typer.Exit(1)


def _show_check(report: Report) -> None:
    bad = f", {len(report.rejected)} bad" if report.rejected else ""
    print_table(
        f"{', '.join(report.files)}: {report.rows} rows{bad}",
        [
            {"field": one.name, "types": ", ".join(f"{name} {count}" for name, count in one.types.items()),
             "missing": one.missing} for one in report.fields
        ],
    )  # fmt: skip
    print_table("Lengths", [{"in": "words", **report.words}, {"in": "tokens", **report.tokens}])
    for balance in report.labels:
        labels = [
            {"label": label, "rows": count, "share": f"{count / max(1, report.rows):.1%}"}
            for label, count in balance.rows.items()
        ]
        print_table(f"{balance.head} ({balance.unlabelled} rows without)", labels)
    print_table("Duplicates", [dict(report.duplicates)])
    for one in report.conflicts[:MOST_SHOWN]:
        typer.echo(
            f"  {one.row} repeats {one.other} ({one.kind}), other {', '.join(one.differs)}  {one.text[:LONGEST]}"
        )
    for row in report.rejected[:MOST_SHOWN]:
        typer.echo(f"  bad row {row.file}:{row.line}  {row.reason}")
    for found in report.suspicions:
        typer.echo(
            f"{found.head}: {found.suspects} of {found.judged} labels are suspect, about {found.error_share:.1%} wrong "
            f"(by models that agree with {found.agreement:.0%} of the labels)"
        )
    for suspect in report.suspects:
        typer.echo(
            f"  {suspect.origin}  {suspect.head}: {suspect.given}, rather {suspect.suggested} "
            f"({suspect.confidence:.2f})  {suspect.text[:LONGEST]}"
        )
    print_table("Split", [dict(report.parts)] if report.parts else [])
    for remark in report.remarks:
        typer.echo(f"note: {remark}")
    for fault in report.faults:
        typer.echo(f"cannot be trained on: {fault}")


def _show_clean(done: Cleaned, out: Path, rejected: Path) -> None:
    counts = [*done.operations.items(), *((f"masked {kind}", count) for kind, count in done.pii.items())]
    print_table(
        f"{out}: {done.rows} rows, {done.changed} changed", [{"what": what, "count": count} for what, count in counts]
    )
    if not counts:
        typer.echo(f"{out}: {done.rows} rows, nothing to clean")
    if done.rejected:
        typer.echo(f"{len(done.rejected)} bad rows: see {rejected}")


def _show_augmented(report: Augmented, out: Path) -> None:
    dropped = ", ".join(f"{count} {why}" for why, count in report.dropped.items()) or "none"
    typer.echo(f"{out}: {report.added} new rows of {report.tried} tried, by {report.by}; dropped: {dropped}")
    for head, labels in report.labels.items():
        print_table(head, [{"label": label, "new rows": count} for label, count in labels.items()])
    if report.measured is not None:
        found: dict[str, Any] = report.measured
        typer.echo(
            f"dev score without {found['without']:.3f}, with {found['augmented']:.3f}: difference "
            f"{found['difference']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f}) on {found['rows']} rows: "
            f"{found['verdict']}"
        )
    if report.added:
        typer.echo(f"To train with them, add {out} to data.train of the recipe")
