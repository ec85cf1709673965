"""`engine export ...`: other forms of a stored model, smaller vocabularies, pruning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine import errors
from engine.printing import Json, print_json, print_table

if TYPE_CHECKING:
    from engine.export.derived import Derived

export = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Other forms of a model: smaller or faster.\n\nExample: engine export convert finance-news openvino",
)
Model = Annotated[str, typer.Argument(help="A stored model: name, name@alias or name@number.")]
NO_GAIN = 0.05
"""Less than so much faster and smaller is no gain: a shared machine's mood is worth as much."""


@export.command()
def convert(
    name: Model,
    form: Annotated[str, typer.Argument(help="onnx-fp32, onnx-int8, openvino or openvino-int8.")],
    texts: Annotated[str | None, typer.Option(help="A file with a text a line, like those to come.")] = None,
    as_json: Json = False,
) -> None:
    """Make a form of a model into this machine's cache, to be asked for as a backend.

    The version itself stays as it is. `engine bench` tells which form is best here.

    Example: engine export convert finance-news openvino
    """
    from engine import speed
    from engine.export import forms
    from engine.progress import Progress
    from engine.store import Store

    version = Store().get(name)
    (*_, wanted) = speed.wanted(version.folder, [form])
    with Progress(quiet=as_json) as progress:
        progress.stage(f"making {version} as {form}")
        place = forms.make(version.folder, wanted, speed.lines(texts))
    size = forms.size(version.folder, wanted) / 1e6
    if as_json:
        print_json({"version": str(version), "form": form, "path": str(place), "disk_mb": size})
    else:
        typer.echo(f"{version} as {form}: {size:.1f} MB in {place}; ask for it with --backend {form}")


@export.command("trim-vocabulary")
def trim_vocabulary(
    source: Annotated[str, typer.Argument(help="A stored model; with --out a base: its name, store:NAME or a folder.")],
    texts: Annotated[
        list[str], typer.Option(help="A file of texts in the languages in use, again for each: .txt, or rows.")
    ] = [],  # noqa: B006
    out: Annotated[str | None, typer.Option("--out", "-o", help="A new folder for the base.")] = None,
    column: Annotated[str, typer.Option(help="The texts' column in files of rows.")] = "text",
    english: Annotated[bool, typer.Option(help="Keep the words of everyday English.")] = True,
    short: Annotated[
        int | None, typer.Option(min=1, help="Keep pieces of so many of the texts' characters [default: 4].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Leave out the word pieces that the languages in use do not need.

    Of a base, a smaller one is written, for `base: FOLDER` in a recipe. Of a stored model, a new version is stored that
    has the same heads; the texts of its train rows are among those looked at.

    Example: engine export trim-vocabulary multilingual --texts data/finance/headlines.jsonl --column title -o small
    """
    from engine.progress import Progress
    from engine.tuning.adapt import texts as read

    found = read(texts, column) if texts else []
    with Progress(quiet=as_json) as progress:
        from engine.export import vocabulary

        longest = short or vocabulary.SHORT
        if out is None:
            from engine.export.derived import derive
            from engine.store import Store

            derived = derive(
                Store().get(source),
                lambda opened, place: vocabulary.change(opened, place, found, english=english, short=longest),
                stage=progress.stage,
            )
        else:
            from engine.base_models import resolve

            progress.stage(f"reading {source}")
            base = resolve(source)
            prefixes = (base.prefix, base.pair_prefix)
            trimmed = vocabulary.trim(base.folder, found, Path(out), prefixes=prefixes, english=english, short=longest)
    if out is None:
        _tell(derived, as_json)
        return
    if as_json:
        print_json({**vars(trimmed), "folder": str(trimmed.folder)})
        return
    rows = [
        {"": name, "pieces": f"{pieces:,}", "parameters": f"{parameters:,}", "MB": size}
        for name, pieces, parameters, size in zip(
            ("before", "after"), trimmed.pieces, trimmed.parameters, trimmed.megabytes, strict=True
        )
    ]
    print_table(f"{source}, its vocabulary trimmed", rows)
    typer.echo(f"To tune it, write `base: {out}` in a recipe.")


@export.command()
def prune(
    name: Model,
    keep: Annotated[float, typer.Option(min=0.01, max=0.99, help="Share of the neurons or weights that stay.")] = 0.5,
    method: Annotated[str, typer.Option(help="neurons (structured), or weights (only measured).")] = "neurons",
    as_json: Json = False,
) -> None:
    """Cut the least important feed-forward neurons out of a model, and say what that brings and costs.

    The new version is stored and not made champion. What it lost, some epochs of tuning from it bring back.

    Example: engine export prune finance-news --keep 0.5
    """
    from engine.progress import Progress
    from engine.store import Store

    if method not in ("neurons", "weights"):
        raise errors.InputError(f"--method {method}: choose neurons or weights")
    with Progress(quiet=as_json) as progress:
        from engine.export import prune as methods
        from engine.export.derived import derive

        change = getattr(methods, method)
        derived = derive(
            Store().get(name),
            lambda opened, place: change(opened, place, keep=keep),
            keep=method == "neurons",
            stage=progress.stage,
        )
    _tell(derived, as_json)
    if as_json:
        return
    if method == "weights":
        typer.echo("Nothing is stored: zeros are multiplied and kept like any number. --method neurons cuts them out.")
    elif derived.version:
        typer.echo(
            f"To bring back what it lost, tune on from it: engine train RECIPE --set base=store:{derived.version}"
        )


def _tell(derived: Derived, as_json: bool) -> None:
    if as_json:
        sides = {"before": vars(derived.before), "after": vars(derived.after)}
        told = {"faster": derived.faster, "smaller": derived.smaller, "lost": derived.lost}
        print_json({"version": str(derived.version) if derived.version else None, **sides, **told})
        return
    rows = [
        {
            "model": side.model, "parameters": f"{side.parameters:,}", "disk MB": side.disk_mb,
            "texts/s": side.texts_per_s, "p50 ms": side.p50_ms,
            **{head: f"{value:.3f}" for head, value in side.quality.items()},
        }
        for side in (derived.before, derived.after)
    ]  # fmt: skip
    print_table("On the test rows, one text a call on all cores", rows)
    gains = []
    if derived.smaller > NO_GAIN:
        gains.append(f"{derived.smaller:.0%} smaller")
    if derived.faster > 1 + NO_GAIN:
        gains.append(f"{derived.faster:.2f} times as fast")
    lost = ", ".join(f"{head} {-value:+.3f}" for head, value in derived.lost.items())
    typer.echo(f"It brings: {' and '.join(gains) or 'nothing, neither size nor speed'}. Quality: {lost}.")
