"""`engine ...`: train, evaluate, predict and speed; the other commands have files of their own."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from engine import (
    bases_cli,
    check_cli,
    data_cli,
    drift_cli,
    errors,
    explain_cli,
    export_cli,
    federate_cli,
    feedback_cli,
    models_cli,
    processes,
    retrain_cli,
    serve_cli,
    study_cli,
)
from engine.printing import Json, print_json, print_table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Turn a recipe and data into a trusted model version.\n\nExample: engine train recipes/finance_news.yaml",
)
app.add_typer(models_cli.models, name="models")
app.add_typer(bases_cli.bases, name="bases")
app.add_typer(data_cli.data, name="data")
app.add_typer(export_cli.export, name="export")
app.add_typer(feedback_cli.feedback, name="feedback")
study_cli.add(app)
serve_cli.add(app)
app.command()(explain_cli.explain)
app.command()(check_cli.check)
app.command()(drift_cli.drift)
app.command()(retrain_cli.retrain)
app.command()(federate_cli.federate)

Settings = Annotated[list[str], typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the recipe.")]


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the path of a packaged one.")],
    settings: Settings = [],  # noqa: B006  (typer reads the default, nothing changes it)
    promote: Annotated[bool, typer.Option(help="Make the version champion though there is one.")] = False,
    fresh: Annotated[bool, typer.Option(help="Begin anew, whatever a killed run left.")] = False,
    count: Annotated[int, typer.Option("--processes", min=1, help="Processes that share the training.")] = 1,
    as_json: Json = False,
) -> None:
    """Make a recipe's model and store it as a new version.

    Example: engine train recipes/finance_news.yaml --set tuning.epochs=2
    """
    from engine.progress import Progress
    from engine.recipe import Recipe

    made = Recipe.load(recipe, settings)
    if count > 1 and processes.given_folder() is None:
        from engine.runs import run_folder

        processes.check(made)
        with run_folder(made, fresh=fresh) as folder:
            processes.launch(count, sys.argv[1:], folder)
        return
    if not processes.first():
        from engine.training import assist

        processes.after_the_first(lambda: assist(made))
        return
    with Progress(quiet=as_json) as progress:
        progress.stage("loading torch and transformers")
        from engine.training import train as run

        done = run(made, promote=promote, fresh=fresh, watcher=progress)
    if as_json:
        values = {
            "version": str(done.version),
            "champion": done.promoted,
            "rows": done.rows,
            "rejected": done.rejected,
            "dropped_for_leaks": done.dropped,
            "run": str(done.run),
            "figures": done.figures.as_dict(),
        }
        print_json(values)
        return
    _print_figures(f"{done.version} on {done.figures.rows} test rows", done.figures.as_dict()["heads"])
    if done.rejected:
        typer.echo(f"{done.rejected} bad rows: see {done.run / 'rejected.jsonl'}")
    if not done.promoted:
        typer.echo(f"The champion stays as it is; to change it: engine models promote {done.version}")


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="A model: name, name@alias or name@number.")],
    data: Annotated[
        str | None, typer.Option(help="A labelled file; without it the figures stored at training.")
    ] = None,
    settings: Settings = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """A model's metrics with intervals, on a labelled file of your own.

    Example: engine evaluate finance-news --data labelled.csv --set data.columns.text=headline
    """
    from engine.store import Store

    version = Store().get(name)
    if data is None:
        figures, bad, taught = version.manifest()["metrics"], [], False
    else:
        from engine.evaluate.held_out import evaluate as run

        judged = run(version, data, settings)
        figures, bad, taught = judged.figures.as_dict(), judged.rejected, judged.taught
    if as_json:
        print_json(
            {"version": str(version), "data": data, "figures": figures, "taught_on_it": taught,
             "rejected": [vars(one) for one in bad]}
        )  # fmt: skip
        return
    _print_figures(f"{version} on {figures['rows']} rows of {data or 'its own test split'}", figures["heads"])
    if bad:
        typer.echo(f"{len(bad)} bad rows left out; first: {bad[0].file}, line {bad[0].line}: {bad[0].reason}")
    if taught:
        typer.echo(f"The model learnt from {data}: these figures say nothing of texts that it has not seen.")


@app.command()
def predict(
    name: Annotated[str, typer.Argument(help="A model: name, name@alias or name@number.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; without them, lines of standard input.")] = None,
    pair: Annotated[
        str | None, typer.Option(help="For a model of pairs: the second text of each, such as the passage asked about.")
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, onnx, torch, or a form made here (engine export).")] = "auto",
) -> None:
    """Answer texts, one JSON object a line; blank lines of standard input are passed over.

    Example: engine predict finance-news "Profit fell 12% on weak demand"
    """
    from engine.export.forms import FORMS
    from engine.opening import load

    if backend not in ("auto", *FORMS):
        raise errors.InputError(f"--backend {backend}: choose auto, {', '.join(FORMS)}")
    predictor = load(name, backend=backend)  # type: ignore[arg-type]
    if pair is not None and not (predictor.spec.pairs or predictor.spec.task == "embed"):
        raise errors.InputError(f"--pair: {predictor.model} reads texts by themselves; leave it out")
    if texts is None:
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    lines = texts if texts is not None else (line.rstrip("\r\n") for line in sys.stdin if line.strip())
    kept: list[str] = []

    def remembered() -> Any:
        for line in lines:
            kept.append(line)
            yield line if pair is None else (line, pair)

    for found in predictor.stream(remembered()):
        document = {"text": kept.pop(0), **found.as_dict(), "model": found.model, "backend": found.backend}
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="A model: name, name@alias or name@number.")],
    texts: Annotated[str | None, typer.Option(help="A file with a text a line; else packaged headlines.")] = None,
    data: Annotated[str | None, typer.Option(help="A labelled file, for the quality of each form.")] = None,
    form: Annotated[list[str], typer.Option(help="A form to measure, again for each; all by default.")] = [],  # noqa: B006
    choose: Annotated[bool, typer.Option(help="The form that won answers here from now on.")] = True,
    settings: Settings = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Speed, memory, size and quality of each form of a model here, and which is to answer by itself.

    Forms that are not here are made into the cache. The fastest that loses no more than the recipe's max_quality_loss
    is what backend "auto" means on this kind of processor afterwards.

    Example: engine bench finance-news --data labelled.csv
    """
    from engine import speed
    from engine.export import choice
    from engine.progress import Progress
    from engine.store import Store

    with Progress(quiet=as_json) as progress:
        found = speed.measure(name, texts=texts, data=data, settings=settings, only=form, stage=progress.stage)
    if choose:
        choice.choose(Store().get(found.version).folder, found.auto, model=found.version)
    if as_json:
        print_json({**vars(found), "forms": [vars(row) for row in found.forms], "chosen": choose})
        return
    rows = []
    for row in found.forms:
        quality = {head: f"{value:.3f}" for head, value in row.quality.items()}
        rows.append(
            {"form": row.form, "texts/s": row.texts_per_s, "p50 ms": row.p50_ms, "p99 ms": row.p99_ms,
             "memory MB": row.memory_mb, "disk MB": row.disk_mb, **quality}
        )  # fmt: skip
    print_table(f"{found.version} on {found.processor}, one text a call on all cores", rows)
    typer.echo(f"Quality: {found.quality}.")
    typer.echo(f"Backend auto {'is' if choose else 'would be'} {found.auto} here.")


def main() -> None:
    """Entry point of `engine`."""
    errors.run(lambda: app(standalone_mode=True))


def _print_figures(title: str, heads: dict[str, dict[str, dict[str, float]]]) -> None:
    rows = [
        {
            "head": head,
            "metric": metric,
            "figure": f"{of['value']:.3f}",
            "95% interval": f"{of['low']:.3f} to {of['high']:.3f}",
        }
        for head, metrics in heads.items()
        for metric, of in metrics.items()
    ]
    print_table(title, rows)
