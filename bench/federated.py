"""Banking77 by four clients with skewed labels, FedAvg over LoRA, against LoRA on all rows and on fewer."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.banking77 import LORA, RECIPE
from bench.contract import Figures, public_data
from bench.held_out import averaged, paired
from bench.seeds import FIRST_SEED, trained
from engine import Progress, Recipe, Store
from engine.data.files import whole
from engine.federate.plan import Plan
from engine.federate.road import federate
from engine.federate.sharing import Sharing, read
from engine.repeats import repeats
from engine.resources import home
from engine.store import Version

SHARING = Sharing(clients=4, skew=0.5)
PLAN = Plan(rounds=6)
BATCH = 384
"""Tokens of a batch: half of the pooled recipe's, since a client has a quarter of the rows to take its steps on."""
SETTINGS = [*LORA, f"name=banking77-{PLAN.strategy}-{PLAN.rounds}", f"tuning.batch_tokens={BATCH}"]


def run(*, seeds: int) -> Figures:
    """Accuracy of the deployed models on the test rows; the gap is pooled less federated, on the same rows.

    Beside them a head alone on all rows, which is about where the rounds begin, and the largest client by itself.
    """
    file = str(public_data("banking77") / "test.csv")
    with Progress() as progress:
        pooled = trained(Recipe.load(RECIPE, LORA), seeds, progress)
        store = Store(home() / "bench")

        def make(one: Recipe) -> Version:
            against = pooled[one.seeds[0] - FIRST_SEED]
            return federate(one, SHARING, PLAN, against=against, store=store, watcher=progress).trained.version

        own = repeats(Recipe.load(RECIPE, SETTINGS), range(FIRST_SEED, FIRST_SEED + seeds), store, make)
        head = trained(Recipe.load(RECIPE, ["name=banking77-head", "tuning.method=head"]), seeds, progress)
        alone = []
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            rows = f"data.train={_largest(seed)}"
            alone += trained(Recipe.load(RECIPE, [*SETTINGS, "name=banking77-alone", rows]), 1, progress, first=seed)
        progress.stage("asking all of them about the test rows")
        gap = paired(own, pooled, file, "intent", "accuracy")
        figures, intervals = {}, {"accuracy_gap": (gap.low, gap.high)}
        for name, versions in (("federated", own), ("pooled", pooled), ("head_only", head), ("alone", alone)):
            found, between = averaged(versions, file, "intent")
            figures[f"accuracy_{name}"], intervals[f"accuracy_{name}"] = found["accuracy"], between["accuracy"]
            if name == "federated":
                figures["ece_federated"] = found["ece"]
    lineage = own[0].manifest()["federated"]
    return Figures(
        {**figures, "accuracy_gap": gap.value},
        intervals,
        {
            "seeds": seeds,
            "clients": [client["train"] for client in lineage["clients"]],
            "skew": SHARING.skew,
            "rounds": PLAN.rounds,
            "local_epochs": PLAN.local_epochs,
            "message_bytes": lineage["message_bytes"],
        },
    )


def _largest(seed: int) -> Path:
    """A file of the train and calibration rows of the client with most of them."""
    folder = home() / "bench" / "data" / f"banking77-branch-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    branches = read(Recipe.load(RECIPE, [*SETTINGS, f"seeds=[{seed}]"]), SHARING, folder).branches
    branch = max(branches, key=lambda one: len(one.train))
    with whole(folder / "train.csv") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["text", "category"])
        writer.writerows((row.text, row.labels["intent"]) for row in (*branch.train, *branch.calibration))
    return folder / "train.csv"
