"""`engine federate`: branches train one model without sharing rows."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from engine.printing import Json, print_json, print_table


def federate(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the path of a packaged one; method lora.")],
    files: Annotated[
        list[str], typer.Option("--client", metavar="FILE", help="A branch's own file, again for each branch.")
    ] = [],  # noqa: B006  (typer reads the default, nothing changes it)
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="A branch for each value of a column.")] = None,
    clients: Annotated[
        int | None, typer.Option(min=2, help="For a trial: deal the recipe's rows to so many clients.")
    ] = None,
    skew: Annotated[
        float | None, typer.Option(metavar="ALPHA", help="Deal each label unevenly, by Dirichlet(ALPHA); .5 is much.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Times that updates are averaged.")] = 6,
    local_epochs: Annotated[int, typer.Option(min=1, help="Epochs that a client trains in a round.")] = 1,
    strategy: Annotated[Literal["fedavg", "fedprox"], typer.Option(help="How clients train.")] = "fedavg",
    mu: Annotated[float, typer.Option(min=0, help="FedProx: how firmly clients are held to the round's start.")] = 0.0,
    clip: Annotated[
        float | None, typer.Option(help="Longest update (Euclidean norm) a client sends; heads then begin at random.")
    ] = None,
    noise: Annotated[
        float, typer.Option(min=0, help="Gaussian noise on each number of an update, in units of --clip.")
    ] = 0.0,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="Also train on all rows together, and tell the gap to that.")
    ] = False,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the recipe.")
    ] = [],  # noqa: B006
    promote: Annotated[bool, typer.Option(help="Make the version champion though there is one.")] = False,
    fresh: Annotated[bool, typer.Option(help="Begin anew, whatever a killed run left.")] = False,
    as_json: Json = False,
) -> None:
    """Make a recipe's model of rows that stay with their branches: FedAvg or FedProx, in this process.

    LoRA's matrices and the heads travel, and numbers of rows and losses; texts and labels do not. Clipping and noise
    make updates tell less; they are no guarantee of differential privacy, and no epsilon is told.

    Example: engine federate recipes/finance_news.yaml --set tuning.method=lora --clients 4 --skew 0.5 --pooled
    """
    from engine.federate.plan import Plan, check_recipe
    from engine.federate.sharing import Sharing
    from engine.progress import Progress
    from engine.recipe import Recipe

    made = Recipe.load(recipe, settings)
    plan = Plan(rounds, local_epochs, strategy, mu, clip, noise)
    plan.check()
    sharing = Sharing(tuple(files), by, clients, skew)
    sharing.check()
    check_recipe(made)
    with Progress(quiet=as_json) as progress:
        progress.stage("loading torch and transformers")
        from engine.federate import road
        from engine.federate.gap import pooled as trained_on_all

        against = trained_on_all(road.taught(made, sharing), progress) if pooled else None
        done = road.federate(made, sharing, plan, against=against, promote=promote, fresh=fresh, watcher=progress)
    trained = done.trained
    if as_json:
        print_json(
            {"version": str(trained.version), "champion": trained.promoted, "rows": trained.rows,
             "rejected": trained.rejected, "dropped_for_leaks": trained.dropped, "run": str(trained.run),
             "figures": trained.figures.as_dict(), "federated": trained.version.manifest()["federated"]}
        )  # fmt: skip
        return
    figures = [
        {"head": head, "metric": metric, "figure": f"{of.value:.3f}", "95% interval": f"{of.low:.3f} to {of.high:.3f}"}
        for head, metrics in trained.figures.heads.items()
        for metric, of in metrics.items()
    ]
    print_table(f"{trained.version} on {trained.figures.rows} test rows, {len(done.branches)} clients", figures)
    gaps = [
        {
            "head": gap.head,
            "metric": gap.metric,
            "federated": f"{gap.federated:.3f}",
            "pooled": f"{gap.pooled:.3f}",
            "gap": f"{gap.value:+.3f}",
            "95% of it": f"{gap.low:+.3f} to {gap.high:+.3f}",
        }
        for gap in done.gaps
    ]
    print_table("Against one model trained on all rows (a positive gap: federated is worse)", gaps)
    typer.echo(f"Privacy: {trained.version.manifest()['federated']['privacy']}.")
    if trained.rejected:
        typer.echo(f"{trained.rejected} bad rows: see {trained.run / 'rejected.jsonl'}")
    if not trained.promoted:
        typer.echo(f"The champion stays as it is; to change it: engine models promote {trained.version}")
