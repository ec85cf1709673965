"""PhraseBank by words instead of a trained head: label descriptions, a chat model's likelihoods, soft prompts."""

from __future__ import annotations

from bench.contract import Figures, public_data
from bench.held_out import averaged, paired
from bench.seeds import trained
from engine import Progress, Recipe

CHAT = "recipes/bench/phrasebank_chat.yaml"
ENCODER = "recipes/bench/phrasebank.yaml"
DESCRIBED = [
    "name=phrasebank-described", "tuning={method: zero_shot}", "export.format=none",
    "task.heads.sentiment.descriptions={negative: profit and sales fall, neutral: a company reports, "
    "positive: profit and sales rise}",
]  # fmt: skip
ASKED = ["name=phrasebank-asked", "tuning={method: zero_shot, max_length: 160}", "data.per_label=null"]
"""Nothing learns here, so that these take no seeds."""


def run(*, seeds: int) -> Figures:
    """Macro F1 on the test rows: by the encoder's vectors of label descriptions, by the chat model as it comes, and
    with soft prompts learnt from a hundred and fifty rows a label."""
    file = str(public_data("financial_phrasebank") / "50agree_test.csv")
    with Progress() as progress:
        described = trained(Recipe.load(ENCODER, DESCRIBED), 1, progress)
        asked = trained(Recipe.load(CHAT, ASKED), 1, progress)
        learnt = trained(Recipe.load(CHAT), seeds, progress)
        words, _ = averaged(described, file, "sentiment")
        before, between = averaged(asked, file, "label")
        after, intervals = averaged(learnt, file, "label")
        gain = paired(asked * seeds, learnt, file, "label", "macro_f1")
    sizes = learnt[0].manifest()["parameters"]
    return Figures(
        {
            "macro_f1_descriptions": words["macro_f1"],
            "macro_f1_chat": before["macro_f1"],
            "macro_f1_soft_prompts": after["macro_f1"],
            "gain": gain.value,
        },
        {
            "macro_f1_chat": between["macro_f1"],
            "macro_f1_soft_prompts": intervals["macro_f1"],
            "gain": (gain.low, gain.high),
        },
        {"seeds": seeds, "trainable": sizes["trainable"]},
    )
