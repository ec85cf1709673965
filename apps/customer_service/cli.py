"""`support-bot ...`: articles in, a trained bot, answers with their sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.customer_service import serve_cli, templates_cli
from apps.customer_service.options import ChatModel, ErrorRate, Json, Tenant, Url, print_json
from engine import errors

if TYPE_CHECKING:
    from apps.customer_service.bot import Bot
    from apps.customer_service.ingest import Ingested
    from apps.customer_service.knowledge import Knowledge

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Answer customers from your own articles, with citations, or say that you don't know.\n\n"
    'Example: support-bot ask "how do I freeze my card?"',
)


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders: Markdown, HTML, text, CSV, JSONL, PDF, DOCX.")],
    prune: Annotated[bool, typer.Option(help="Delete the documents of files that are gone from the folders.")] = False,
    again: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Take a document back that was deleted; once for each.")
    ] = None,
    dead_letters: Annotated[Path, typer.Option(help="Where files and rows that are no documents go.")] = Path(
        "dead_documents.jsonl"
    ),
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Read articles into the knowledge; what has not changed is skipped, what was deleted stays so.

    Ends with 1 where something was rejected and nothing else was read.

    Example: support-bot ingest data/support/articles/en
    """
    from apps.customer_service import ingest as ingestion
    from engine import Embedder, Progress

    knowledge = _knowledge(database, tenant)
    with Progress(quiet=as_json) as progress:
        embedder = Embedder(_embedder(knowledge))
        done = ingestion.ingest(paths, knowledge, embedder, progress, prune=prune, again=again or ())
    if done.rejected:
        ingestion.write_rejected(done.rejected, dead_letters)
    documents, chunks = knowledge.counts()
    if as_json:
        value = {
            "files": done.files,
            "unchanged": done.unchanged,
            "documents": done.documents,
            "removed": done.removed,
            "rejected": len(done.rejected),
            "moved": done.moved,
            "missing": done.missing,
            "deleted": done.deleted,
            "in_all": {"documents": documents, "chunks": chunks},
        }
        print_json(value)
    else:
        typer.echo(
            f"{done.documents} documents read from {done.files - done.unchanged} files, {done.unchanged} files "
            f"unchanged, {done.removed} documents removed; {documents} documents and {chunks} chunks in all"
        )
        _tell(done, dead_letters, prune=prune)
    if done.rejected and not done.documents:
        raise typer.Exit(1)


def _tell(done: Ingested, dead_letters: Path, *, prune: bool) -> None:
    """What of an ingestion wants to be looked at."""
    if done.rejected:
        first = done.rejected[0]
        place = f"{first.source}, line {first.line}" if first.line else first.source
        typer.echo(f"{len(done.rejected)} rejected, see {dead_letters}; the first: {place}: {first.reason}")
    if done.moved:
        typer.echo(f"{len(done.moved)} files are gone and were found elsewhere; the first: {done.moved[0]}")
    if done.missing and not prune:
        typer.echo(f"{len(done.missing)} files are gone, their documents are still answered from; --prune deletes them")
    if done.deleted:
        typer.echo(
            f"{len(done.deleted)} documents stay deleted though their files are there; the first: {done.deleted[0]}; "
            f"--again {done.deleted[0]} takes it back"
        )


@app.command()
def delete(
    ids: Annotated[list[str], typer.Argument(help="Ids of documents.")],
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Delete documents: nothing of them is found or quoted afterwards, nor does `ingest` bring them back.

    Example: support-bot delete card-limits
    """
    knowledge = _knowledge(database, tenant)
    gone = knowledge.delete(ids)
    sources = knowledge.deleted()
    files = sorted({sources[id] for id in gone if Path(sources[id]).is_file()})
    if as_json:
        print_json({"deleted": gone, "files": files})
    elif gone:
        typer.echo(f"deleted: {', '.join(gone)}")
        for file in files:
            typer.echo(f"{file} is still there; ingest leaves out what was deleted of it")
    if missing := sorted(set(ids) - set(gone)):
        raise errors.InputError(f"no such document: {', '.join(missing)}; see: support-bot documents")


@app.command()
def documents(database: Url = None, tenant: Tenant = "default", as_json: Json = False) -> None:
    """List what the bot answers from.

    Example: support-bot documents
    """
    found = _knowledge(database, tenant).documents()
    if as_json:
        keys = ("id", "title", "lang", "section", "updated", "source")
        print_json([{**{key: getattr(one, key) for key in keys}, "version": one.version} for one in found])
        return
    for one in found:
        typer.echo(f"{one.id}\t{one.lang}\t{one.title}")


@app.command()
def train(
    dialogues: Annotated[Path | None, typer.Option(help="Past dialogues as JSON lines; else Keel's own.")] = None,
    dev: Annotated[Path | None, typer.Option(help="Labelled questions to fit weights and the bar on.")] = None,
    small_talk: Annotated[Path | None, typer.Option(help="Small talk as JSON lines of text, intent.")] = None,
    most: Annotated[
        int | None, typer.Option(min=1, help="Past dialogues to learn from, drawn evenly: a fraction of the time.")
    ] = None,
    base: Annotated[str, typer.Option(help='"minilm", or "multilingual" for Chinese.')] = "minilm",
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Learn from past dialogues how customers ask, and when to say nothing; then re-read the articles with it.

    Example: support-bot train --dialogues data/support/dialogues.jsonl --dev data/support/queries/dev.jsonl
    """
    from apps.customer_service import learn, settings
    from engine import Progress

    knowledge = _knowledge(database, tenant)
    with Progress(quiet=as_json) as progress:
        learnt = learn.learn(
            knowledge.documents(),
            dialogues or settings.packaged("dialogues.jsonl"),
            dev or settings.packaged("queries/dev.jsonl"),
            small_talk or settings.packaged("small_talk.jsonl"),
            progress,
            base=base,
            most=most,
        )
        progress.stage("reading the articles with the new embedder")
        knowledge.reindex(learnt.models.embedder)
    figures = {key: round(value, 4) for key, value in learnt.figures.items()}
    if as_json:
        print_json({"version": learnt.models.version, "dev": figures, "rows": learnt.counts})
        return
    typer.echo(f"{learnt.models.version} is champion now; on dev questions: " + _listed(figures))
    if learnt.rejected:
        typer.echo(f"{len(learnt.rejected)} dialogues left out; the first: {learnt.rejected[0].reason}")


@app.command()
def reindex(database: Url = None, tenant: Tenant = "default", as_json: Json = False) -> None:
    """Read all articles anew with the champion's embedder; until it is done the old index answers.

    Example: support-bot reindex
    """
    from apps.customer_service.models import Models

    models = Models.load()
    done = _knowledge(database, tenant).reindex(models.embedder)
    if as_json:
        print_json({"chunks": done, "embedder": models.embedder.model})
    else:
        typer.echo(f"{done} chunks read with {models.embedder.model}")


@app.command("chat-data")
def chat_data(
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON lines of text, answer, article.")],
    dialogues: Annotated[Path | None, typer.Option(help="Past dialogues as JSON lines; else Keel's own.")] = None,
    base: Annotated[str, typer.Option(help='"minilm", or "multilingual" for Chinese.')] = "minilm",
    database: Url = None,
    tenant: Tenant = "default",
) -> None:
    """Write the rows that a chat model learns from: sources and a question in, the agent's reply out.

    Example: support-bot chat-data -o chat.jsonl && engine train recipes/support_chat.yaml
    """
    from apps.customer_service import examples, settings
    from apps.customer_service.dialogues import read_dialogues
    from engine import Embedder

    found, embedder = _knowledge(database, tenant).documents(), Embedder(base)
    past, _ = read_dialogues(dialogues or settings.packaged("dialogues.jsonl"))
    rows = examples.written(examples.make(past, found, embedder), found, embedder)
    output.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    typer.echo(f"{len(rows)} rows in {output}")


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What a customer asks.")],
    error_rate: ErrorRate = 0.05,
    chat_model: ChatModel = None,
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Answer one question, with citations.

    Example: support-bot ask "how do I freeze my card?" --json
    """
    answer = _bot(database, tenant, error_rate, chat_model).answer(question, alone=True)
    if as_json:
        print_json(answer.as_dict())
        return
    from apps.customer_service.shown import show

    show(answer)


@app.command()
def chat(
    error_rate: ErrorRate = 0.05,
    chat_model: ChatModel = None,
    customer: Annotated[str, typer.Option(help="Your key for the customer; `forget` erases by it.")] = "",
    consent: Annotated[bool, typer.Option(help="Whether models may be trained on what you write and judge.")] = False,
    database: Url = None,
    tenant: Tenant = "default",
) -> None:
    """Talk with the bot. /why shows the evidence, /human hands over, /bot takes that back, /good and /bad judge the
    last answer, /quit ends.

    Example: support-bot chat
    """
    from apps.customer_service import settings
    from apps.customer_service.bot import ready
    from apps.customer_service.talk import talk
    from apps.customer_service.writer import configured
    from engine import Watch

    opened = settings.database(database)
    with Watch(opened) as watch:
        talk(ready(opened, tenant, error_rate, configured(chat_model), watch), customer, consent=consent)


@app.command()
def forget(
    customer: Annotated[str | None, typer.Argument(help="The company's key for the customer.")] = None,
    conversation: Annotated[
        str | None, typer.Option(help="A conversation instead: a visitor's, who has no key.")
    ] = None,
    older_than: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="All instead in which nothing was said for so many days.")
    ] = None,
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Erase conversations with all that is stored of them: a customer's, one of them, or the old ones.

    Example: support-bot forget customer-4711
    """
    from apps.customer_service import settings
    from apps.customer_service.conversations import Conversations

    talks = Conversations(settings.database(database), tenant)
    match customer, conversation, older_than:
        case str(whom), None, None:
            gone = talks.forget(whom)
        case None, str(id), None:
            gone = talks.forget_one(id)
        case None, None, int(days):
            gone = talks.forget_older(days)
        case _:
            raise errors.InputError("name one of these to forget: a customer, --conversation or --older-than")
    if as_json:
        print_json({"conversations": gone})
    else:
        typer.echo(f"{gone} conversations erased")


@app.command()
def evaluate(
    questions: Annotated[Path | None, typer.Option(help="Labelled test questions; else Keel's own.")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML page to write: figures, curve, faults.")] = None,
    error_rate: ErrorRate = 0.05,
    database: Url = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Score the bot on labelled questions: retrieval, citations, abstention, follow-ups, with intervals.

    Example: support-bot evaluate --questions data/support/queries/test.jsonl --report report.html
    """
    from apps.customer_service import settings
    from apps.customer_service.evaluate import evaluate as scored
    from engine import Progress

    with Progress(quiet=as_json) as progress:
        bot = _bot(database, tenant, error_rate)
        done = scored(bot, questions or settings.packaged("queries/test.jsonl"), progress)
    figures = done.figures
    if report:
        from apps.customer_service.report import page

        report.write_text(page(done, bot), encoding="utf-8")
    if as_json:
        print_json({name: {"value": one.value, "low": one.low, "high": one.high} for name, one in figures.items()})
        return
    for name, one in figures.items():
        typer.echo(f"{name:32} {one.value:7.3f}   ({one.low:.3f} to {one.high:.3f})")


app.add_typer(templates_cli.templates, name="templates")
app.command()(serve_cli.serve)
app.add_typer(serve_cli.keys, name="keys")


def main() -> None:
    """Entry point of `support-bot`."""
    errors.run(lambda: app(standalone_mode=True))


def _knowledge(database: str | None, tenant: str) -> Knowledge:
    from apps.customer_service import settings
    from apps.customer_service.knowledge import Knowledge

    return Knowledge(settings.database(database), tenant)


def _embedder(knowledge: Knowledge) -> str:
    """The base or stored model that the index was made with; for a new one the champion's, or the base."""
    from apps.customer_service.models import NAME, Models
    from engine import Store

    if live := knowledge.embedder():
        return live if "@" not in live else f"store:{live}"
    return Models.load().embedder_name if Store().has(NAME) else "minilm"


def _bot(database: str | None, tenant: str, error_rate: float, chat_model: str | None = None) -> Bot:
    from apps.customer_service import settings
    from apps.customer_service.bot import ready
    from apps.customer_service.writer import configured

    return ready(settings.database(database), tenant, error_rate, configured(chat_model))


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
