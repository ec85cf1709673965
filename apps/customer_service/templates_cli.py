"""`support-bot templates ...`: what agents say again and again, reviewed and then said by the bot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.customer_service.options import Json, Tenant, Url, print_json

if TYPE_CHECKING:
    from apps.customer_service.templates import Template, Templates

templates = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Reviewed answers, made of past ones.\n\nExample: support-bot templates make",
)
Id = Annotated[str, typer.Argument(help="The template's id.")]


@templates.command("make")
def make(
    dialogues: Annotated[Path | None, typer.Option(help="Past dialogues as JSON lines; else Keel's own.")] = None,
    base: Annotated[str, typer.Option(help='"minilm", or "multilingual" for Chinese.')] = "minilm",
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Propose templates out of past dialogues; none is used before it is approved.

    Example: support-bot templates make --dialogues data/support/dialogues.jsonl
    """
    from apps.customer_service import examples, settings
    from apps.customer_service.dialogues import read_dialogues
    from apps.customer_service.templates import propose
    from engine import Embedder, Progress

    kept = _templates(database, tenant)
    documents = kept.knowledge.documents()
    with Progress(quiet=as_json) as progress:
        past, _ = read_dialogues(dialogues or settings.packaged("dialogues.jsonl"))
        progress.stage(f"reading {len(past):,} dialogues")
        embedder = Embedder(base)
        told = examples.make(past, documents, embedder).told
        found = propose(told, {one.id: one.version for one in documents}, embedder)
    new = kept.keep(found)
    if as_json:
        print_json({"found": len(found), "new": new})
    else:
        typer.echo(f"{len(found)} templates found, {new} of them new; see: support-bot templates list")


@templates.command("list")
def list_(database: Url = None, tenant: Tenant = "default", as_json: Json = False) -> None:
    """All templates, those that stand for most replies first.

    Example: support-bot templates list
    """
    found = _templates(database, tenant).all()
    if as_json:
        print_json([_value(one) for one in found])
        return
    for one in found:
        typer.echo(f"{one.id}\t{one.state}\t{one.replies}\t{one.document}\t{one.text}")


@templates.command("show")
def show(id: Id, database: Url = None, tenant: Tenant = "default", as_json: Json = False) -> None:
    """One template, the sentences that it stands on, and questions that it answered.

    Example: support-bot templates show 0c2a6e94d1
    """
    one = _templates(database, tenant).get(id)
    if as_json:
        print_json(_value(one))
        return
    typer.echo(f"{one.id}  {one.state}  intent {one.intent or 'any'}  {one.replies} replies\n\n{one.text}\n")
    typer.echo("\n".join([f"{one.document}, version {one.version}:", *(f"  {said}" for said in one.sentences)]))
    typer.echo("\n".join(["asked as:", *(f"  {asked}" for asked in one.questions)]))


@templates.command("approve")
def approve(
    id: Id,
    text: Annotated[str | None, typer.Option(help="Your own wording, instead of the agents'.")] = None,
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Let the bot answer with it for as long as its article stays as it is.

    Example: support-bot templates approve 0c2a6e94d1
    """
    one = _templates(database, tenant).approve(id, text)
    if as_json:
        print_json(_value(one))
    else:
        typer.echo(f"{one.id} is approved: {one.text}")


@templates.command("reject")
def reject(id: Id, database: Url = None, tenant: Tenant = "default") -> None:
    """Never answer with it.

    Example: support-bot templates reject 0c2a6e94d1
    """
    _templates(database, tenant).reject(id)
    typer.echo(f"{id} is rejected")


def _templates(database: str | None, tenant: str) -> Templates:
    from apps.customer_service import settings
    from apps.customer_service.knowledge import Knowledge
    from apps.customer_service.templates import Templates

    return Templates(Knowledge(settings.database(database), tenant))


def _value(one: Template) -> dict[str, Any]:
    return dict(vars(one))
