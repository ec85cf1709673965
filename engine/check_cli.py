"""`engine check`: whether a model's answers withstand changed texts, and treat people and places alike."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine import errors
from engine.printing import Json, print_json, print_table

if TYPE_CHECKING:
    from engine.evaluate.fairness import Gap
    from engine.evaluate.robustness import Probe

SHOWN = 2
"""Examples of each broken bound on the terminal; JSON and HTML have all."""


def check(
    name: Annotated[str, typer.Argument(help="A model: name, name@alias or name@number.")],
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Typing errors, case, punctuation, negation and the like.")
    ] = False,
    fairness: Annotated[bool, typer.Option("--fairness", help="Other names, places and genders.")] = False,
    head: Annotated[list[str], typer.Option(help="A head to check, again for each; all with labels by default.")] = [],  # noqa: B006
    texts: Annotated[
        str | None, typer.Option(help="A file with a text a line; without it the version's own test rows.")
    ] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="PATH=VALUE", help="Change a bound, as gates.fairness.max_gap=0.1.")
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the results here too, as one HTML file.")] = None,
    as_json: Json = False,
) -> None:
    """Hold a model's label heads to the bounds of its recipe (gates.robustness, gates.fairness); exit code 1 if one breaks.

    Without --robustness and --fairness both are checked. Nothing is stored but what --html names.

    Example: engine check finance-news --robustness --set "gates.robustness.directional={sentiment: [negative, neutral, positive]}"
    """  # noqa: E501
    if html and not html.parent.is_dir():
        raise errors.InputError(
            f"--html {html}: the folder {html.parent} does not exist; make it, or give another path"
        )
    from engine.evaluate.checks import checked
    from engine.progress import Progress

    both = not robustness and not fairness
    with Progress(quiet=as_json) as progress:
        found = checked(
            name,
            robustness=robustness or both,
            fairness=fairness or both,
            heads=head,
            texts=texts,
            settings=settings,
            seed=seed,
            stage=progress.stage,
        )
    if html:
        from engine.card import checks
        from engine.card.html import html as drawn
        from engine.data.files import whole

        with whole(html) as stream:
            stream.write(drawn(checks.card(found.model, found.texts, found.robustness, found.fairness)))
    if as_json:
        print_json(
            {
                "model": found.model,
                "texts": found.texts,
                "held": found.held,
                "robustness": [{**asdict(one), "held": one.held} for one in found.robustness],
                "fairness": [{**asdict(one), "held": one.held} for one in found.fairness],
            }
        )
    else:
        _show(found.model, found.texts, found.robustness, found.fairness)
        if html:
            typer.echo(f"All of it is in {html}")
    if not found.held:
        raise typer.Exit(1)


def _show(model: str, texts: str, probes: list[Probe], gaps: list[Gap]) -> None:
    from engine.card.checks import name, verdict

    rows = [
        {"head": one.head, "probe": name(one.name), "texts": one.tried, "failures": f"{one.rate:.3f}",
         "95% interval": _range(one.interval), "bound": f"{one.bound:g}", "held": verdict(one)}
        for one in probes
    ]  # fmt: skip
    print_table(f"Robustness of {model} on {texts}", rows)
    rows = [
        {"head": one.head, "exchanged": one.name, "texts": one.tried, "of their own": one.inside,
         "gap": f"{one.gap:.3f}", "95% interval": _range(one.interval), "flips": f"{one.flips:.3f}",
         "leans to": one.lean, "bounds": f"{one.max_gap:g}, {one.max_flips:g}", "held": verdict(one)}
        for one in gaps
    ]  # fmt: skip
    print_table(f"Fairness of {model} on {texts}", rows)
    every: list[Probe | Gap] = [*probes, *gaps]
    for found in every:
        if found.held:
            continue
        typer.echo(f"{found.head}, {name(found.name)}: {found.built}")
        for one in found.examples[:SHOWN]:
            typer.echo(f"  {one.before:<24} {one.text}\n  {one.after:<24} {one.changed}")


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"
