"""The road from a recipe and branches to a model version: rounds, temperatures, then the road of every recipe.

The server sees parameters, numbers of rows and losses. Two steps need texts, and neither takes them from the branches
to the server: the temperatures come of losses summed over the clients; the export is smoothed and checked by the branch
with most rows to check it on, and its file is what comes back. Test rows are the recipe's, and judge at the end alone.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers

from engine import base_models, runs, training
from engine.data.sources import Loaded
from engine.data.split import Parts
from engine.federate import rounds, start
from engine.federate.client import Client
from engine.federate.gap import Gap, gaps
from engine.federate.messages import EvaluateRes, Parameters, put, taken
from engine.federate.plan import Plan, check_recipe
from engine.federate.privacy import Guard
from engine.federate.record import record
from engine.federate.sharing import Shared, Sharing, read
from engine.federate.strategy import strategy
from engine.federate.temperature import temperatures
from engine.recipe import Recipe
from engine.store import Store, Version
from engine.tasks import encoder
from engine.tasks import task as tasks
from engine.tasks.encoding import Rows
from engine.tasks.headed import model_spec, tokenizer_of
from engine.tasks.task import Learned, Watcher
from engine.tuning import adapters, weights


@dataclass(frozen=True)
class Federated:
    """What a run made."""

    trained: training.Trained
    branches: dict[str, int]
    """Client -> its train rows."""
    gaps: list[Gap]


def federate(
    recipe: Recipe,
    sharing: Sharing,
    plan: Plan,
    *,
    against: Version | None = None,
    store: Store | None = None,
    promote: bool = False,
    fresh: bool = False,
    watcher: Watcher | None = None,
) -> Federated:
    """Train the recipe's model on rows that stay with their branches, and store it as a new version.

    A killed run goes on where it was, unless `fresh`.

    Args:
        against: the same recipe trained on all rows; the gap to it is measured and stored.

    Raises:
        InputError, DataError, LeakError, ExportError: what is wrong and what to do; nothing is stored then.
    """
    recipe = taught(recipe, sharing)
    sharing.check()
    plan.check()
    check_recipe(recipe)
    watch, store = watcher or training.Quiet(), store or Store()
    settings = json.dumps([sharing.as_dict(), plan.as_dict()])
    with runs.run_folder(recipe, fresh=fresh, settings=settings) as run:
        watch.stage("reading the branches")
        shared = read(recipe, sharing, run)
        told = ", ".join(f"{branch.name} {len(branch.train):,}" for branch in shared.branches)
        watch.stage(f"train rows: {told}; test {len(shared.test):,}")
        parents = runs.parents(recipe)
        whole, began = not (run / "rounds").exists(), time.monotonic()
        learned, base, message_bytes = _learn(recipe, plan, shared, run, watch)
        seconds = round(time.monotonic() - began, 1) if whole else None
        exporter = max(
            shared.branches, key=lambda branch: (len(branch.dev) + len(branch.calibration), len(branch.train))
        )
        made = training.Tuned(
            [learned],
            base,
            Parts(exporter.train, exporter.dev, exporter.calibration, shared.test),
            Loaded(rejected=shared.rejected, hashes=shared.hashes),
            shared.dropped,
            parents,
            seconds,
        )
        found: list[Gap] = []

        def more(staged: Path) -> dict[str, Any]:
            if against:
                watch.stage(f"setting it against {against}, trained on all rows")
                found.extend(gaps(staged, against, shared.test))
            return record(
                plan,
                sharing,
                shared,
                probed=probed(recipe, plan),
                exporter=exporter,
                message_bytes=message_bytes,
                against=against,
                gaps=found,
            )

        trained = training.keep(recipe, made, run, store=store, promote=promote, watch=watch, more=more)
        for left in ("rounds", "clients"):
            shutil.rmtree(trained.run / left, ignore_errors=True)
        return Federated(trained, {branch.name: len(branch.train) for branch in shared.branches}, found)


def taught(recipe: Recipe, sharing: Sharing) -> Recipe:
    """The recipe over the branches' files, where they are given."""
    return recipe.changed({"data.train": list(sharing.files)}) if sharing.files else recipe


def probed(recipe: Recipe, plan: Plan) -> bool:
    """Whether heads begin as regressions. Of clipped updates they do not: gradients would tell what clipping hides."""
    return recipe.tuning.head_start == "probe" and plan.clip is None


def _learn(
    recipe: Recipe, plan: Plan, shared: Shared, run: Path, watch: Watcher
) -> tuple[Learned, base_models.BaseModel, int]:
    """The model after the last round, calibrated; and the bytes of the parameters in one message."""
    base = base_models.resolve(recipe.base)
    tasks.check_base(recipe, base.kind)
    tasks.check_length(recipe, base)
    seed = recipe.seeds[0]
    transformers.set_seed(seed)
    spec, tokenizer = model_spec(recipe, base), tokenizer_of(base.folder)
    model = encoder.build(recipe, base, Rows([], {}))
    model.encoder = adapters.wrap(model.encoder, recipe.tuning)
    clients = [
        Client(branch, recipe, model, spec, tokenizer, run / "clients" / str(number), _guard(plan, seed, number))
        for number, branch in enumerate(shared.branches)
    ]

    def initialize() -> Parameters:
        if probed(recipe, plan):
            watch.stage("fitting the heads on gradients summed over the clients")
            start.fit_heads(model, [start.Probe(model, client.train) for client in clients])
        return taken(model)

    watch.stage(f"tuning {recipe.base} in {plan.rounds} rounds of {len(clients)} clients, seed {seed}")
    parameters, history = rounds.run(
        strategy(plan), clients, plan.rounds, initialize=initialize, folder=run / "rounds", watcher=watch
    )
    answers = [EvaluateRes(*client.evaluate(parameters, {"part": "calibration"})) for client in clients]
    put(model, parameters)
    trainable = weights.counts(model)[0]
    model.encoder = adapters.merged(model.encoder)
    score = history[-1]["score"] if history else None
    learned = Learned(seed, model.cpu(), score or 0.0, history, trainable, weights.counts(model)[1])
    learned.temperatures = temperatures(spec.heads, answers)
    return learned, base, sum(array.nbytes for array in parameters)


def _guard(plan: Plan, seed: int, client: int) -> Guard | None:
    return None if plan.clip is None else Guard(plan.clip, plan.noise, seed, client)
