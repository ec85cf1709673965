"""`engine models ...`: the store's versions, listed, shown, verified, promoted, rolled back."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import errors
from engine.printing import Json, print_json, print_table

models = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The store.\n\nExample: engine models list")


@models.command("list")
def models_list(as_json: Json = False) -> None:
    """All models and their versions.

    Example: engine models list
    """
    from engine.store import Store

    store = Store()
    rows = []
    for name in store.names():
        aliases = {number: alias for alias, number in store.aliases(name).items()}
        for version in store.versions(name):
            manifest = version.manifest()
            heads = manifest.get("metrics", {}).get("heads", {})
            mains = {head: next(iter(of.items())) for head, of in heads.items() if of}
            scores = "  ".join(f"{head} {name} {figure['value']:.3f}" for head, (name, figure) in mains.items())
            rows.append(
                {
                    "model": str(version),
                    "alias": aliases.get(version.number, ""),
                    "made": manifest.get("made", ""),
                    "main figure": scores,
                }
            )
    if as_json:
        print_json({"models": rows})
    elif rows:
        print_table(str(store.root), rows)
    else:
        typer.echo(f"no models yet in {store.root}; make one with: engine train recipes/finance_news.yaml")


@models.command()
def show(name: str) -> None:
    """A version's manifest: lineage, figures, hashes.

    Example: engine models show finance-news@1
    """
    from engine.store import Store

    print_json(Store().get(name).manifest())


@models.command()
def verify(name: Annotated[str | None, typer.Argument()] = None, as_json: Json = False) -> None:
    """Hash every file of every version (or of one) against its manifest; exit 1 on any difference.

    Example: engine models verify
    """
    from engine.store import Store

    store = Store()
    versions = [store.get(name)] if name else [v for known in store.names() for v in store.versions(known)]
    faults = [fault for version in versions for fault in store.verify(version)]
    if as_json:
        print_json({"versions": len(versions), "faults": faults})
    else:
        typer.echo("\n".join([*faults, f"{len(versions)} versions checked, {len(faults)} faults"]))
    if faults:
        raise typer.Exit(1)


@models.command()
def promote(name: Annotated[str, typer.Argument(help="name@number")]) -> None:
    """Make a version the champion.

    Example: engine models promote finance-news@2
    """
    from engine.store import Store

    store = Store()
    version = store.get(name)
    if faults := store.verify(version):
        raise errors.StoreError(f"{version} is not whole, the champion stays: {'; '.join(faults)}")
    store.promote(version)
    typer.echo(f"{version} is champion")


@models.command()
def rollback(name: str) -> None:
    """Make the champion before this one champion again.

    Example: engine models rollback finance-news
    """
    from engine.store import Store

    typer.echo(f"{Store().rollback(name)} is champion again")


@models.command()
def decisions(
    name: Annotated[str, typer.Argument(help="A model's name.")],
    which: Annotated[str | None, typer.Argument(help='The id of one, or "last": its whole report.')] = None,
    as_json: Json = False,
) -> None:
    """What was decided on a model's challengers, and why.

    Example: engine models decisions finance-news last
    """
    from engine import decision

    if which is not None:
        one = decision.find(name, which)
        if as_json:
            print_json(one.as_dict())
        else:
            typer.echo(decision.markdown(one))
        return
    found = decision.decisions(name)
    if as_json:
        print_json({"decisions": [one.as_dict() for one in found]})
    elif found:
        print_table(
            name, [{"id": one.id, "promoted": "yes" if one.promoted else "no", "why": one.why} for one in found]
        )
    else:
        typer.echo(f"nothing decided on {name} yet; new feedback is learnt by: engine retrain {name}")
