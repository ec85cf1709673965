"""Batches, losses and heads: what a training step is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.batches import TokenBudgetSampler
from engine.tasks.encoder import EncoderModel, load_encoder, outputs
from engine.tasks.encoding import MISSING, Collator, Rows
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import arrays
from engine.tuning import probe

HEADS = (HeadSpec("one", "single", ("a", "b", "c")), HeadSpec("many", "multi", ("x", "y")))
INPUTS = [[2, 5, 6, 3], [2, 7, 3], [2, 8, 9, 10, 11, 12, 3], [2, 9, 3]]


@pytest.fixture
def model(toy_base: Path) -> EncoderModel:
    torch.manual_seed(1)
    return EncoderModel(load_encoder(toy_base), HEADS).eval()


def rows(one: list[int], many: list[list[float]]) -> Rows:
    return Rows(INPUTS[: len(one)], {"one": np.array(one), "many": np.array(many, dtype=np.float32)})


def loss(model: EncoderModel, data: Rows, places: list[int]) -> torch.Tensor:
    return model(**Collator(0)([data[place] for place in places]))["loss"]


@given(st.lists(st.integers(1, 200), min_size=1, max_size=300), st.integers(64, 512), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_an_epoch_holds_every_row_once_and_batches_stay_in_budget(lengths: list[int], budget: int, seed: int) -> None:
    sampler = TokenBudgetSampler(lengths, budget, seed=seed)
    epochs = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    for batches in epochs:
        assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
        assert len(batches) == len(sampler)
    for batch in epochs[0]:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget
    assert list(TokenBudgetSampler(lengths, budget, seed=seed)) == epochs[0]


def test_padding_changes_no_loss_and_no_gradient(model: EncoderModel) -> None:
    data = rows([0, 2, 1, 0], [[1, 0], [0, 1], [1, 1], [0, 0]])
    together = loss(model, data, [0, 1, 2, 3])
    together.backward()
    gradient = model.heads["one"].weight.grad.clone()
    model.zero_grad()
    alone = torch.stack([loss(model, data, [place]) for place in range(4)]).mean()
    alone.backward()
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(gradient, model.heads["one"].weight.grad, atol=1e-5)


def test_a_missing_label_masks_its_head_for_the_row(model: EncoderModel) -> None:
    data = rows([0, MISSING, 1], [[1, 0], [0, 1], [MISSING, MISSING]])
    only_many = rows([MISSING] * 3, [[1, 0], [0, 1], [MISSING, MISSING]])
    only_one = rows([0, MISSING, 1], [[MISSING, MISSING]] * 3)
    whole = loss(model, data, [0, 1, 2])
    assert torch.allclose(whole, loss(model, only_many, [0, 1, 2]) + loss(model, only_one, [0, 1, 2]))
    assert loss(model, rows([MISSING] * 2, [[MISSING] * 2] * 2), [0, 1]).item() == 0.0


def test_class_weights_and_smoothing_change_the_loss(toy_base: Path) -> None:
    encoder = load_encoder(toy_base)
    data = rows([0, 2, 1, 0], [[1, 0], [0, 1], [1, 1], [0, 0]])
    losses = set()
    for options in ({}, {"label_smoothing": 0.2}, {"class_weights": {"one": torch.tensor([3.0, 1.0, 1.0])}}):
        torch.manual_seed(1)
        losses.add(round(loss(EncoderModel(encoder, HEADS, **options).eval(), data, [0, 1, 2, 3]).item(), 4))
    assert len(losses) == 3


def test_probed_heads_separate_what_the_encoder_separates(toy_base: Path) -> None:
    inputs = [[2, 5, 5, 5, 3] if n % 2 else [2, 9, 9, 9, 3] for n in range(40)]
    one = np.array([1 if n % 2 else 0 for n in range(40)])
    data = Rows(inputs, {"one": one, "many": np.stack([one, 1 - one], 1).astype(np.float32)})
    model = EncoderModel(load_encoder(toy_base), HEADS)
    probe.fit_heads(model, data)
    found = {name: arrays(of) for name, of in outputs(model, data).items()}
    assert (found["one"].argmax(1) == one).all()
    assert ((found["many"] > 0) == data.targets["many"]).all()


def test_logits_come_in_the_order_of_the_rows(model: EncoderModel) -> None:
    data = rows([0] * 4, [[0, 0]] * 4)
    found = arrays(outputs(model, data, batch_tokens=8)["one"])
    for place, ids in enumerate(INPUTS):
        single = model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))["logits_one"]
        assert found[place] == pytest.approx(single.detach().numpy()[0], abs=1e-5)
