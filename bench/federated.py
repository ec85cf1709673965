"""Banking77 by four clients with skewed labels, FedAvg over LoRA, against LoRA on all rows."""

from __future__ import annotations

from bench.banking77 import LORA, RECIPE
from bench.contract import Figures, public_data
from bench.held_out import averaged, paired
from bench.seeds import FIRST_SEED, trained
from engine import Progress, Recipe, Store
from engine.federate.plan import Plan
from engine.federate.road import federate
from engine.federate.sharing import Sharing
from engine.repeats import repeats
from engine.resources import home
from engine.store import Version

SHARING = Sharing(clients=4, skew=0.5)
PLAN = Plan(rounds=6)
BATCH = 384
"""Tokens of a batch: half of the pooled recipe's, since a client has a quarter of the rows to take its steps on."""
SETTINGS = [*LORA, f"name=banking77-{PLAN.strategy}-{PLAN.rounds}", f"tuning.batch_tokens={BATCH}"]


def run(*, seeds: int) -> Figures:
    """Accuracy of the deployed models on the test rows; the gap is pooled less federated, on the same rows."""
    file = str(public_data("banking77") / "test.csv")
    with Progress() as progress:
        pooled = trained(Recipe.load(RECIPE, LORA), seeds, progress)
        store = Store(home() / "bench")

        def make(one: Recipe) -> Version:
            against = pooled[one.seeds[0] - FIRST_SEED]
            return federate(one, SHARING, PLAN, against=against, store=store, watcher=progress).trained.version

        own = repeats(Recipe.load(RECIPE, SETTINGS), range(FIRST_SEED, FIRST_SEED + seeds), store, make)
        progress.stage("asking both about the test rows")
        ours, our_intervals = averaged(own, file, "intent")
        theirs, their_intervals = averaged(pooled, file, "intent")
        gap = paired(own, pooled, file, "intent", "accuracy")
    lineage = own[0].manifest()["federated"]
    return Figures(
        {
            "accuracy_federated": ours["accuracy"],
            "accuracy_pooled": theirs["accuracy"],
            "accuracy_gap": gap.value,
            "ece_federated": ours["ece"],
        },
        {
            "accuracy_federated": our_intervals["accuracy"],
            "accuracy_pooled": their_intervals["accuracy"],
            "accuracy_gap": (gap.low, gap.high),
        },
        {
            "seeds": seeds,
            "clients": [client["train"] for client in lineage["clients"]],
            "skew": SHARING.skew,
            "rounds": PLAN.rounds,
            "local_epochs": PLAN.local_epochs,
            "message_bytes": lineage["message_bytes"],
        },
    )
