"""Vectors that a model repeats: near those of the encoder that it is held to, the same in every form, kept when cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import Embedder, Recipe, load, speed, train
from engine.base_models import resolve
from engine.errors import InputError, RecipeError
from engine.export import prune
from engine.export.derived import derive
from engine.federate.plan import check_recipe
from engine.tasks import encoder, headed
from engine.tasks.encoding import Collator, encoded
from engine.training import prepare
from engine.tuning import vectors
from tests.engine.test_tasks import recipe

Write = Callable[[str, str | bytes], Path]
TEXTS = ["Halden Motors sues a rival in spring", "Tern Foods buys two ships in May", "利润下降 in 2031", ""]


def asked(base: Path, write: Write, *, weight: float = 10.0, **tuning: Any) -> Recipe:
    """A recipe of labels, topics and names that asks for the vectors of its own base."""
    made = recipe("desk", base, write, **tuning)
    return made.changed({"task.vectors": {"of": str(base), "weight": weight}})


def likeness(name: str, base: Path) -> float:
    """Mean cosine of what a model repeats with what the base says, over texts that are not among its rows."""
    said = np.stack([one.vector for one in load(name).predict(TEXTS) if one.vector is not None])
    return float((said * Embedder(str(base)).embed(TEXTS)).sum(1).mean())


def test_one_pass_gives_the_answers_and_the_vector_pruned_or_not(
    toy_base: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = train(asked(toy_base, write).changed({"export.max_quality_loss": 1.0}), promote=True)
    assert set(done.figures.heads) == {"sides", "topics", "names"}
    onnx, exact = (load("desk", backend=backend).predict(TEXTS) for backend in ("onnx", "torch"))
    for one, other in zip(onnx, exact, strict=True):
        assert one.vector is not None
        assert other.vector is not None
        assert one.vector.dtype == np.float32
        assert np.linalg.norm(one.vector) == pytest.approx(1.0, abs=1e-6)
        assert one.vector == pytest.approx(other.vector, abs=1e-4)
        assert set(one.as_dict()) == {"sides", "topics", "names"}
    alone = load("desk").predict(TEXTS[:1])[0].vector
    assert alone is not None
    assert alone.tobytes() == onnx[0].vector.tobytes()  # type: ignore[union-attr]
    assert likeness("desk", toy_base) > 0.7  # of three dozen rows of an encoder that knows nothing

    monkeypatch.setattr(speed, "ROUNDS", 1)
    monkeypatch.setattr(speed, "SINGLE", 2)
    derived = derive(done.version, lambda source, place: prune.neurons(source, place, keep=0.25))
    assert likeness(str(derived.version), toy_base) > 0.7


def test_training_holds_the_vectors(toy_base: Path, write: Write) -> None:
    found = []
    for weight in (1e-9, 10.0):
        made = asked(toy_base, write, weight=weight, epochs=3, learning_rate=1e-2)
        found.append(likeness(str(train(made.changed({"export.format": "none"})).version), toy_base))
    assert found[1] > found[0]


def test_unlike_texts_are_no_nearer_than_they_were() -> None:
    draw = np.random.default_rng(13)
    wanted = draw.normal(size=(1500, 24)) + draw.normal(size=24)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    shrunk = 0.6 * wanted + 0.4 * wanted.mean(0)  # as a regression says less of each than it is
    assert vectors._nearest(shrunk) > vectors._nearest(wanted) + 0.02
    after = shrunk - vectors._shared(shrunk, wanted)
    assert vectors._nearest(after) == pytest.approx(vectors._nearest(wanted), abs=0.005)
    assert not vectors._shared(wanted, wanted).any()


def test_accumulated_batches_give_the_gradient_of_one(toy_base: Path, write: Write, tmp_path: Path) -> None:
    made = asked(toy_base, write, weight=100.0, dropout=0.0)
    base = resolve(made.base)
    spec, tokenizer = headed.model_spec(made, base), headed.tokenizer_of(base.folder)
    chosen = prepare(made, tmp_path)[0].train[:12]
    rows, wanted = encoded(chosen, tokenizer, spec), vectors.aims(made, chosen, spec)
    assert wanted is not None
    torch.manual_seed(3)
    model = encoder.build(made, base, rows).eval()
    vectors.fit(model, rows, wanted)
    rows.taught[encoder.EMBEDDING] = torch.from_numpy(wanted[::-1].copy())  # not what the model says already

    def gradient(*batches: range) -> torch.Tensor:
        model.zero_grad()
        given = [Collator(rows.pad_token_id)([rows[row] for row in batch]) for batch in batches]
        items = [model.items(batch) for batch in given]
        total: dict[str, Any] = {f"items_{name}": torch.stack([one[name] for one in items]).sum() for name in items[0]}
        for batch in given:
            model(**batch, **total, share=len(batch["input_ids"]) / len(rows))["loss"].backward()
        found = model.vectors.weight.grad  # type: ignore[union-attr]
        assert found is not None
        return found.clone()

    whole = gradient(range(12))
    assert whole.abs().max() > 1e-3
    torch.testing.assert_close(gradient(range(2), range(2, 9), range(9, 12)), whole, rtol=1e-3, atol=1e-5)


def test_pairs_and_branches_are_refused_with_the_way_out(toy_base: Path, write: Write) -> None:
    with pytest.raises(RecipeError, match=r"task.vectors are those of single texts.*leave it out"):
        recipe("classify", toy_base, write).changed({"task.vectors": {"of": "minilm"}})
    labels = {"kind": "classify", "heads": {"sides": {"labels": ["court", "deal"]}}, "vectors": {"of": "minilm"}}
    branches = recipe("desk", toy_base, write, method="lora").changed({"task": labels})
    with pytest.raises(InputError, match=r"task.vectors is not for engine federate; leave it out"):
        check_recipe(branches)
