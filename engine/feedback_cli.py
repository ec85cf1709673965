"""`engine feedback ...`: what people said about predictions, looked at, labelled, taken out and back in, forgotten."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from engine.db.option import Url
from engine.errors import InputError
from engine.printing import Json, print_json, print_table

if TYPE_CHECKING:
    from engine.feedback import Feedback, FeedbackLog, Labelling

feedback = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What people said about predictions.\n\nExample: engine feedback list --model finance-news",
)
Tenant = Annotated[str | None, typer.Option(help="Whose; everyone's without it.")]
Model = Annotated[str | None, typer.Option(help="NAME for all its versions, or NAME@NUMBER.")]
App = Annotated[str | None, typer.Option(help="customer_service, finance_monitor, recommender, console or import.")]
OfKind = Annotated[
    Literal["vote", "correction", "edit", "verdict", "click", "purchase", "label"] | None,
    typer.Option("--kind", help="What was said."),
]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="First moment, as 2026-03-02T08:15:00Z.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="The moment behind the last.")]
By = Annotated[
    Literal["all", "uncertainty", "disagreement", "diversity"],
    typer.Option(
        help="What makes a text worth a label: the model's doubt, who disagrees, how unlike the others it is."
    ),
]
Challenger = Annotated[str | None, typer.Option(help="A model whose disagreement counts as doubt too.")]
Of = Annotated[str | None, typer.Option(help="The model whose feedback gives the texts; else the one that learns.")]
Rater = Annotated[str, typer.Option(help="Who labels.")]
LONGEST = 80
"""Characters of a text that are shown in a table."""


@feedback.command("list")
def list_(
    model: Model = None,
    app: App = None,
    kind: OfKind = None,
    tenant: Tenant = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=0, help="The newest that are shown; the counts are of all.")] = 20,
    database: Url = None,
    as_json: Json = False,
) -> None:
    """How much there is of what, and the newest of it.

    Example: engine feedback list --app customer_service --kind correction
    """
    from engine.feedback import opened

    with opened(database) as log:
        found = log.read(tenant=tenant, app=app, model=model, kind=kind, since=since, until=until)
    counts = Counter((one.app, one.model, one.kind) for one in found)
    newest = found[::-1][:limit]
    rows = [
        {"app": app, "model": model, "kind": kind, "count": count}
        for (app, model, kind), count in sorted(counts.items())
    ]
    if as_json:
        print_json({"count": len(found), "counts": rows, "newest": [vars(one) for one in newest]})
        return
    if not found:
        typer.echo("nothing was said yet that fits")
        return
    print_table(f"{len(found)} in all", rows)
    print_table("the newest", [_shown(one) for one in newest])


@feedback.command()
def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file: .csv or .jsonl.")],
    to_label: Annotated[
        int | None, typer.Option(min=1, help="Only so many texts without a label, those that teach most.")
    ] = None,
    by: By = "all",
    challenger: Challenger = None,
    of: Of = None,
    model: Model = None,
    app: App = None,
    kind: OfKind = None,
    tenant: Tenant = None,
    since: Since = None,
    until: Until = None,
    database: Url = None,
    as_json: Json = False,
) -> None:
    """Write feedback to a file, all of it or what should be labelled; `engine feedback import` takes the labels back.

    Example: engine feedback export --model finance-news --to-label 50 -o to_label.csv
    """
    from engine.feedback import opened, table

    if to_label is not None and (app or kind or since or until):
        raise InputError("--to-label takes texts of --model or --of; leave out --app, --kind, --since and --until")
    if to_label is None and (challenger or of or by != "all"):
        raise InputError("--by, --challenger and --of choose what to label; say how much with --to-label N")
    heads: list[str] = []
    with opened(database) as log:
        if to_label is None:
            found = log.read(tenant=tenant, app=app, model=model, kind=kind, since=since, until=until)
        else:
            if model is None:
                raise InputError("--to-label: name the model that is to learn: --model NAME")
            labelling = _labelling(log, model, "", challenger, of, tenant)
            heads = [head.name for head in labelling.heads]
            found = [task.feedback for task in labelling.tasks(to_label, by=by)]
    table.write(found, out, heads)
    if as_json:
        print_json({"file": str(out), "rows": len(found)})
    else:
        typer.echo(f"{len(found)} rows in {out}")


@feedback.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet: as export wrote it, or text and labels.")],
    model: Annotated[str, typer.Option(help="The model that is to learn: its heads name the columns.")],
    rater: Rater,
    new_label: Annotated[list[str], typer.Option(help="A label that the model lacks; again for each.")] = [],  # noqa: B006
    consent: Annotated[bool, typer.Option(help="Whether texts of your own may be trained on.")] = True,
    tenant: Annotated[str, typer.Option(help="Whose texts of your own are.")] = "default",
    dead_letters: Annotated[Path, typer.Option(help="Where lines go that cannot be used.")] = Path("dead_labels.jsonl"),
    database: Url = None,
    as_json: Json = False,
) -> None:
    """Take labels in; a line without an id is a text of your own. Taken twice, nothing changes.

    Example: engine feedback import to_label.csv --model finance-news --rater ana
    """
    from engine.data.sources import write_rejected
    from engine.feedback import opened, table

    with opened(database) as log:
        labelling = _labelling(log, model, rater)
        source = table.Source(rater, labelling.heads, new_label, labelling.model, tenant, consent)
        taken = table.take(file, log, source)
    if taken.rejected:
        write_rejected(taken.rejected, dead_letters)
    if as_json:
        counts = {"new": taken.new, "known": taken.known, "empty": taken.empty, "rejected": len(taken.rejected)}
        print_json({**counts, "dead_letters": str(dead_letters) if taken.rejected else None})
        return
    typer.echo(f"{taken.new} labels taken, {taken.known} were there already, {taken.empty} lines without one")
    if taken.rejected:
        first = taken.rejected[0]
        typer.echo(f"{len(taken.rejected)} rejected, see {dead_letters}; the first: line {first.line}: {first.reason}")


@feedback.command()
def label(
    name: Annotated[str, typer.Argument(help="The model that is to learn.")],
    rater: Rater,
    count: Annotated[int, typer.Option(min=1, help="Texts to label.")] = 20,
    by: By = "all",
    challenger: Challenger = None,
    of: Of = None,
    tenant: Tenant = None,
    database: Url = None,
) -> None:
    """Label texts one by one, on the terminal: a number or a name, Enter for what the model says, s to skip, q to end.

    What is labelled is stored at once, whatever ends the command.

    Example: engine feedback label finance-news --rater ana
    """
    from engine.feedback import opened, terminal

    with opened(database) as log:
        done = terminal.label(_labelling(log, name, rater, challenger, of, tenant), count, by)
    typer.echo(f"{done} labelled")


@feedback.command()
def forget(
    subject: Annotated[str, typer.Argument(help="What the feedback belongs to, such as a conversation's id.")],
    tenant: Annotated[str, typer.Option(help="Whose.")] = "default",
    database: Url = None,
    as_json: Json = False,
) -> None:
    """Erase all feedback of a subject; an application's own `forget` erases what else it keeps.

    Example: engine feedback forget 0123456789abcdef0123456789abcdef
    """
    from engine.feedback import opened

    with opened(database) as log:
        with log.database.write() as connection:
            gone = log.erase(connection, tenant, [subject])
        left = log.read(tenant=tenant, subject=subject)
    if left:
        raise InputError(
            f"{gone} erased here, but {left[0].app} itself keeps {len(left)} of {subject!r}: use its own command forget"
        )
    if as_json:
        print_json({"erased": gone})
    else:
        typer.echo(f"{gone} erased")


def _labelling(
    log: FeedbackLog,
    name: str,
    rater: str,
    challenger: str | None = None,
    of: str | None = None,
    tenant: str | None = None,
) -> Labelling:
    from engine.feedback import Labelling

    return Labelling(log, name, rater=rater, challenger=challenger, of=of, tenant=tenant)


def _shown(one: Feedback) -> dict[str, Any]:
    text = " ".join(one.text.split())
    corrected = "; ".join(f"{head}: {value}" for head, value in (one.correction or {}).items())
    return {
        "time": one.time[:19],
        "app": one.app,
        "model": one.model,
        "kind": one.kind,
        "verdict": "" if one.verdict is None else f"{one.verdict:g}",
        "correction": corrected[:LONGEST],
        "rater": one.rater,
        "consent": "yes" if one.consent else "no",
        "text": text if len(text) <= LONGEST else text[: LONGEST - 1] + "…",
    }
