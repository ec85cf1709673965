"""`engine explain`: the words that moved a model's answer, coloured on a terminal, as JSON or as a page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine import errors
from engine.printing import Json, print_json


def explain(
    name: Annotated[str, typer.Argument(help="A model: name, name@alias or name@number.")],
    texts: Annotated[list[str], typer.Argument(help="Texts.")],
    head: Annotated[str | None, typer.Option(help="The head to explain; all of them without it.")] = None,
    label: Annotated[str | None, typer.Option(help="The label to explain; without it, what the model answers.")] = None,
    pair: Annotated[str | None, typer.Option(help="For a model of pairs: the second text of each.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the explanations here too, as one HTML file.")] = None,
    as_json: Json = False,
) -> None:
    """How much each word of a text moved a model's answer (integrated gradients).

    The fp32 PyTorch form of the version is explained, whichever form answers; the probabilities of both are told.

    Example: engine explain finance-news "Profit fell 12% on weak demand" --head sentiment
    """
    if html and not html.parent.is_dir():
        raise errors.InputError(
            f"--html {html}: the folder {html.parent} does not exist; make it, or give another path"
        )
    from engine import explain as explaining
    from engine.opening import load
    from engine.progress import Progress

    with Progress(quiet=as_json) as progress:
        progress.stage(f"explaining {name}")
        explainer = explaining.Explainer(load(name))
        found = [
            one for text in texts for one in explainer.explain(text if pair is None else (text, pair), head, label)
        ]
    if html:
        from engine.card import attributions
        from engine.data.files import whole

        with whole(html) as stream:
            stream.write(attributions.html(found))
    if as_json:
        print_json({"explained": explaining.EXPLAINED, "explanations": [asdict(one) for one in found]})
        return
    from rich.console import Console

    console = Console()
    for one in found:
        console.print(explaining.coloured(one))
    if html:
        typer.echo(f"The explanations are in {html}")
