"""`engine tune / compare / report`: finding the better recipe, and telling what a model is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine import errors
from engine.printing import Json, print_json, print_table

if TYPE_CHECKING:
    from engine.card import Table
    from engine.progress import Progress
    from engine.store import Version

Settings = Annotated[list[str], typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the recipe.")]


def add(app: typer.Typer) -> None:
    """Put these commands into the engine's."""
    for command in (tune, compare, report):
        app.command()(command)


def tune(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the path of a packaged one.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials in all; those of an earlier call count.")] = 20,
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds after which no further trial begins.")] = None,
    within: Annotated[
        str | None, typer.Option("--space", help="A YAML file of what may vary; else what suits the method.")
    ] = None,
    output: Annotated[str, typer.Option("--out", "-o", help="The best recipe is written here.")] = "best.yaml",
    settings: Settings = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Search the settings that score best on the dev rows. The test rows stay unread.

    Example: engine tune recipes/finance_news.yaml --trials 12 --timeout 3600 -o best.yaml
    """
    from engine import space
    from engine.data.files import whole
    from engine.progress import Progress
    from engine.recipe import Recipe

    made = Recipe.load(recipe, settings)
    varied = space.read(within, made) if within else None
    path = _writable(output)
    with Progress(quiet=as_json) as progress:
        progress.stage("loading torch and transformers")
        from engine.search import search

        found = search(made, trials=trials, timeout=timeout, within=varied, watcher=progress)
    with whole(path) as stream:
        stream.write(found.yaml())
    if as_json:
        print_json({"best": vars(found.best), "recipe": output, "trials": [vars(one) for one in found.trials]})
        return
    rows = [
        {
            "trial": f"{one.number}{' *' if one.number == found.best.number else ''}",
            "dev score": "" if one.score is None else f"{one.score:.4f}",
            "state": one.state,
            "seconds": one.seconds,
            "settings": one.note
            or "  ".join(f"{name.rpartition('.')[2]} {_short(v)}" for name, v in one.settings.items()),
        }
        for one in found.trials
    ]
    print_table(f"{made.name}, by dev score (the test rows stayed unread)", rows)
    typer.echo(f"The best is in {output}; to make it: engine train {output}")


def compare(
    recipes: Annotated[list[str], typer.Argument(help="Recipe files; the others are set against the first.")],
    seeds: Annotated[int, typer.Option(min=1, help="Seeds that each recipe is trained with.")] = 3,
    settings: Settings = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Train recipes with the same seeds and judge them on the same test rows: figures, costs, and which is better.

    What an earlier call trained of the same recipe, data and seed is used again.

    Example: engine compare recipes/finance_news.yaml mine.yaml --seeds 3
    """
    from engine.progress import Progress
    from engine.recipe import Recipe

    made = [Recipe.load(path, settings) for path in recipes]
    names = [recipe.name for recipe in made]
    with Progress(quiet=as_json) as progress:
        progress.stage("loading torch and transformers")
        from engine.compare import compare as run

        apart = names if len(set(names)) == len(names) else recipes
        found = run(made, names=apart, seeds=seeds, watcher=None if as_json else progress)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    quality = []
    for one in found.candidates:
        for head in one.quality:
            row = {
                "recipe": one.name,
                "head": head.head,
                "metric": head.metric,
                "figure": f"{head.figure.value:.3f}",
                "95% interval": f"{head.figure.low:.3f} to {head.figure.high:.3f}",
            }
            if head.difference:
                difference = head.difference
                row |= {
                    "difference": f"{difference.value:+.3f}",
                    "95% of it": f"{difference.low:+.3f} to {difference.high:+.3f}",
                    "p": f"{difference.p:.3f}",
                    "against the first": difference.verdict,
                }
            quality.append(row)
    several = f"means over the seeds {', '.join(map(str, found.seeds))}"
    print_table(f"{found.rows} test rows, {several if seeds > 1 else f'seed {found.seeds[0]}'}", quality)
    costs = [
        {
            "recipe": one.name,
            "trainable": f"{one.trainable:,}",
            "share": f"{one.trainable / max(1, one.parameters):.2%}",
            "tuning s": one.seconds,
            "peak MB": f"{one.peak_memory_mb:.0f}",
            "form": one.form,
            "disk MB": one.disk_mb,
            "p50 ms": one.p50_ms,
        }
        for one in found.candidates
    ]
    print_table("Costs (peak: resident memory of the training's own process)", costs)
    if seeds == 1:
        typer.echo("One seed: this speaks of these models, not of the recipes. --seeds 3 trains more.")


def report(
    name: Annotated[str, typer.Argument(help="A model: name, name@alias or name@number.")],
    output: Annotated[str, typer.Option("--out", "-o", help="The card is written here.")] = "card.html",
    speed: Annotated[bool, typer.Option("--speed", help="Measure the speed on this machine, for the card.")] = False,
    as_json: Json = False,
) -> None:
    """A model's card as one HTML file: figures, confusions, calibration, slices, learning curves, limits, lineage.

    Example: engine report finance-news -o card.html
    """
    from engine import card
    from engine.data.files import whole
    from engine.progress import Progress
    from engine.store import Store

    path = _writable(output)
    version = Store().get(name)
    with Progress(quiet=as_json) as progress:
        document = card.html(card.stored(version, speed=_speed(version, progress) if speed else None))
    with whole(path) as stream:
        stream.write(document)
    if as_json:
        print_json({"version": str(version), "card": output})
    else:
        typer.echo(f"The card of {version} is {output}")


def _speed(version: Version, progress: Progress) -> Table:
    from engine.card import Table
    from engine.speed import measure

    stored = "onnx" if (version.folder / "onnx").is_dir() else "torch"
    found = measure(str(version), only=[stored], stage=progress.stage)
    rows = [
        (row.form, f"{row.texts_per_s:.1f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.memory_mb:.0f}")
        for row in found.forms
    ]
    title = f"On {found.processor}, one text a call on all cores, {found.timed} texts"
    return Table(("form", "texts a second", "p50 ms", "p99 ms", "memory MB"), rows, title)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _writable(output: str) -> Path:
    """The path of an output file, refused before the work where it could not be written after it.

    Raises:
        InputError: there is no such folder, or it is a folder itself.
    """
    path = Path(output).expanduser()
    if not path.parent.is_dir():
        raise errors.InputError(f"{output}: the folder {path.parent} does not exist; make it, or give another path")
    if path.is_dir():
        raise errors.InputError(f"{output}: is a folder; give a file's path")
    return path
