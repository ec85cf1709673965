"""Ways of tuning, on a toy base: each learns what it should, is stored, and reloads with equal logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Recipe, Store, train
from engine.base_models import resolve
from engine.errors import InputError, RecipeError
from engine.recipe import Adversarial, Distill
from engine.tasks import encoder, headed
from engine.tasks.encoding import Collator, Rows, encoded
from engine.tasks.headed import Headed
from engine.tasks.kinds import arrays
from engine.training import Quiet, prepare
from engine.tuning import adversarial, bottleneck, contrastive, distill, lower, objective, r_drop, weights

Toy = Callable[..., Recipe]
ONE_HEAD = {"kind": "classify", "heads": {"sentiment": {"labels": ["negative", "neutral", "positive"]}}}
FAST = {"epochs": 1, "batch_tokens": 512, "max_length": 48}


@pytest.mark.parametrize(
    ("method", "share"),
    [("full", 1.0), ("head", 0.05), ("lora", 0.5), ("adalora", 0.5), ("ia3", 0.1), ("adapter", 0.5), ("prefix", 0.2),
     ("prompt", 0.1), ("p_tuning", 0.9)],
)  # fmt: skip
def test_a_method_learns_its_share_and_reloads_with_equal_logits(
    toy_recipe: Toy, tmp_path: Path, method: str, share: float
) -> None:
    recipe = toy_recipe(tuning={**FAST, "method": method, "learning_rate": 5e-3, "early_stopping": 0})
    base = resolve(recipe.base)
    parts, _, _ = prepare(recipe, tmp_path)
    before = encoder.load_encoder(base.folder).state_dict()
    learned = Headed().learn(recipe, base, parts, 13, tmp_path / "seed", Quiet())
    assert 0 < learned.trainable <= share * learned.parameters
    Headed().write(recipe, base, learned, tmp_path)
    spec = headed.model_spec(recipe, base)
    rows = encoded(parts.test, headed.tokenizer_of(base.folder), spec)
    stored = encoder.load(tmp_path / "model")
    for name, said in encoder.outputs(stored, rows).items():
        assert np.allclose(arrays(said), arrays(encoder.outputs(learned.model, rows)[name]), atol=1e-5)
    plain = encoder.load_encoder(tmp_path / "model").state_dict()  # what transformers alone would read
    moved = any(not torch.equal(value, before[name]) for name, value in plain.items())
    assert moved == (method in ("full", "lora", "adalora", "ia3"))
    # What learnt did change the answers: the head alone would give others.
    untouched = encoder.EncoderModel(encoder.load_encoder(base.folder), spec.heads)
    untouched.heads.load_state_dict(stored.heads.state_dict())
    same = np.allclose(
        arrays(encoder.outputs(untouched, rows)["sentiment"]),
        arrays(encoder.outputs(stored, rows)["sentiment"]),
        atol=1e-6,
    )
    assert same == (method == "head")


def test_prompts_and_adapters_export_to_onnx_with_equal_answers(toy_recipe: Toy) -> None:
    for method in ("prompt", "prefix", "p_tuning", "adapter"):
        done = train(
            toy_recipe(
                tuning={**FAST, "method": method, "learning_rate": 5e-3, "early_stopping": 0},
                export={"format": "onnx", "precision": "fp32", "max_quality_loss": 0.01},
            )
        )
        assert all(loss["largest_difference"] < 1e-3 for loss in done.version.manifest()["export"]["losses"])


@pytest.mark.parametrize(("method", "adapted"), [("full", False), ("lora", False), ("adalora", False), ("lora", True)])
def test_a_run_that_stops_anywhere_goes_on_to_the_same_weights(
    toy_recipe: Toy, tmp_path: Path, method: str, adapted: bool
) -> None:
    tuning = {**FAST, "epochs": 2, "method": method, "accumulate": 2, "batch_tokens": 256, "checkpoint_steps": 2}
    if adapted:  # it stops before the first checkpoint of the tuning, or after
        (tmp_path / "texts.txt").write_text("Profit fell\nSales rose in May\n")
        tuning |= {"adapt": {"texts": "texts.txt"}, "checkpoint_steps": 6}
    recipe = toy_recipe(tuning=tuning)

    def weights() -> str:
        return str(train(recipe, fresh=False).version.manifest()["files"]["model/model.safetensors"])

    class Stops(Quiet):
        def __init__(self, at: int) -> None:
            self.at = at

        def step(self, done: int, total: int, note: str) -> None:
            if done == self.at:
                raise OSError("the lights went out")

    whole = weights()
    for step in (1, 3, 8, 13):
        with pytest.raises(OSError, match="lights"):
            train(recipe, watcher=Stops(step))
        assert weights() == whole


def batch(toy_recipe: Toy, tmp_path: Path) -> tuple[encoder.EncoderModel, dict[str, Any], Rows]:
    recipe = toy_recipe(task=ONE_HEAD)
    base = resolve(recipe.base)
    parts, _, _ = prepare(recipe, tmp_path)
    rows = encoded(parts.train[:16], headed.tokenizer_of(base.folder), headed.model_spec(recipe, base))
    torch.manual_seed(1)
    return encoder.build(recipe, base, rows), Collator(rows.pad_token_id)([rows[row] for row in range(16)]), rows


@pytest.mark.parametrize("method", ["fgm", "pgd", "freelb"])
def test_an_adversary_finds_a_larger_loss_than_the_clean_one(toy_recipe: Toy, tmp_path: Path, method: Any) -> None:
    model, inputs, _ = batch(toy_recipe, tmp_path)
    model.eval()
    clean = objective.plain(model, inputs)
    found = adversarial.objective(Adversarial(method=method, epsilon=2.0))(model, dict(inputs))
    assert found.item() > clean.item() + 1e-4
    found.backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "word_embeddings" in name)


def test_r_drop_asks_two_passes_to_agree(toy_recipe: Toy, tmp_path: Path) -> None:
    model, inputs, _ = batch(toy_recipe, tmp_path)
    model.eval()  # without dropout both passes are one
    assert r_drop.objective(1.0)(model, inputs).item() == pytest.approx(objective.plain(model, inputs).item(), abs=1e-6)
    model.train()
    torch.manual_seed(5)
    light = r_drop.objective(0.0)(model, inputs).item()
    torch.manual_seed(5)
    assert r_drop.objective(10.0)(model, inputs).item() > light


def test_contrast_is_less_where_labels_lie_together() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    together = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), dim=-1)
    assert contrastive.loss(together, labels) < contrastive.loss(together[[0, 2, 1, 3]], labels)
    assert contrastive.loss(together, torch.arange(4)).item() == 0.0


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(8, 400), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_pairs_share_a_label_and_every_row_is_drawn(labels: list[int], budget: int, epoch: int) -> None:
    sampler = contrastive.PairSampler([4] * len(labels), np.array(labels), budget, seed=1)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    drawn = [row for rows in batches for row in rows]
    assert all(labels[left] == labels[right] for left, right in zip(drawn[::2], drawn[1::2], strict=True))
    assert sorted(set(drawn[::2])) == list(range(len(labels)))
    assert all(len(rows) == 2 or 4 * len(rows) <= budget for rows in batches)


def test_few_shots_and_zero_shots_make_versions(toy_recipe: Toy) -> None:
    few = toy_recipe(task=ONE_HEAD, tuning={**FAST, "method": "contrastive", "early_stopping": 0})
    few = few.model_copy(update={"data": few.data.model_copy(update={"per_label": 5})})
    assert train(few).rows["train"] == 15
    zero = train(toy_recipe(task=ONE_HEAD, name="zero", tuning={**FAST, "method": "zero_shot"}))
    assert zero.version.manifest()["parameters"]["trainable"] == 0


def test_a_teacher_that_reads_other_tokens_is_refused(toy_recipe: Toy, toy_base: Path, tmp_path: Path) -> None:
    import shutil

    import transformers

    train(toy_recipe(task=ONE_HEAD))
    other = shutil.copytree(toy_base, tmp_path / "other")
    tokenizer = transformers.AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens(["利润"])
    tokenizer.save_pretrained(other)
    with pytest.raises(RecipeError, match=r"toy reads texts as other tokens than the base .*other; give the student"):
        train(
            toy_recipe(task=ONE_HEAD, name="student", base=str(other), tuning={**FAST, "distill": {"teacher": "toy"}})
        )


def test_what_lies_beside_the_weights_cannot_be_tuned_on(toy_recipe: Toy) -> None:
    train(toy_recipe(task=ONE_HEAD, tuning={**FAST, "method": "prefix"}))
    with pytest.raises(InputError, match="toy@1: has learnt prompts or adapters beside its weights"):
        train(toy_recipe(task=ONE_HEAD, name="more", base="store:toy"))


def test_texts_longer_than_the_base_reads_are_refused(toy_recipe: Toy) -> None:
    with pytest.raises(RecipeError, match=r"max_length: 200 tokens, but .* reads 128; set it to 128 or less"):
        train(toy_recipe(tuning={**FAST, "max_length": 200}))
    with pytest.raises(RecipeError, match=r"128 tokens with 16 virtual tokens before them, .*; set it to 112 or less"):
        train(toy_recipe(tuning={**FAST, "max_length": 128, "method": "prompt"}))


def test_a_base_of_other_names_takes_no_bottlenecks(tmp_path: Path) -> None:
    import transformers

    config = transformers.DistilBertConfig(vocab_size=50, dim=16, n_layers=1, n_heads=2, hidden_dim=16)
    with pytest.raises(RecipeError, match="names its layers in a way of its own; take lora"):
        bottleneck.insert(transformers.DistilBertModel(config), 4)


@pytest.mark.parametrize("method", ["fgm", "pgd"])
def test_padding_changes_no_adversary(toy_recipe: Toy, tmp_path: Path, method: Any) -> None:
    model, inputs, rows = batch(toy_recipe, tmp_path)
    with torch.no_grad():  # a padding that is longer than any word
        model.encoder.get_input_embeddings().weight[rows.pad_token_id] *= 9
    loss = adversarial.objective(Adversarial(method=method))
    wide = {
        name: torch.nn.functional.pad(value, (0, 20), value=rows.pad_token_id if name == "input_ids" else 0)
        if name in ("input_ids", "attention_mask")
        else value
        for name, value in inputs.items()
    }
    model.eval()
    assert loss(model, wide).item() == pytest.approx(loss(model, inputs).item(), abs=1e-5)


def test_a_history_without_dev_scores_is_plain_json(toy_recipe: Toy) -> None:
    done = train(toy_recipe(tuning={**FAST, "early_stopping": 0}))
    text = (done.version.folder / "manifest.json").read_text()
    assert "NaN" not in text
    assert done.version.manifest()["history"][0]["score"] is None


def test_a_student_keeps_layers_of_its_teacher(toy_recipe: Toy) -> None:
    teacher = train(toy_recipe(task=ONE_HEAD))
    learns = {**FAST, "distill": {"teacher": "toy", "layers": 1}}
    done = train(toy_recipe(task=ONE_HEAD, name="student", tuning=learns))
    assert "toy@1" in done.version.manifest()["parents"]
    student = encoder.load(done.version.folder / "model")
    assert student.encoder.config.num_hidden_layers == 1
    assert distill.keep_layers(encoder.load(teacher.version.folder / "model").encoder, 1).config.num_hidden_layers == 1


@pytest.mark.parametrize("method", ["simcse", "tsdae"])
def test_adaptation_moves_the_encoder_by_unlabelled_texts(toy_recipe: Toy, tmp_path: Path, method: str) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"Profit at Halden {word} in the quarter\n" for word in ("fell", "rose", "held")) * 1)
    plain = train(toy_recipe(task=ONE_HEAD, tuning={**FAST, "method": "head"}))
    adapt = {"texts": str(texts), "method": method, "learning_rate": 1e-3, "epochs": 4}
    moved = train(toy_recipe(task=ONE_HEAD, name="adapted", tuning={**FAST, "method": "head", "adapt": adapt}))
    hashes = [done.version.manifest()["files"]["model/model.safetensors"] for done in (plain, moved)]
    assert hashes[0] != hashes[1]
    assert Store().verify(moved.version) == []


def test_gradual_unfreezing_and_noise_copies_train(toy_recipe: Toy) -> None:
    plain = train(toy_recipe())
    noisy = toy_recipe(name="noisy", tuning={**FAST, "epochs": 2, "gradual_unfreezing": True})
    noisy = noisy.model_copy(update={"data": noisy.data.model_validate({**noisy.data.model_dump(), "noise": {}})})
    done = train(noisy)
    assert done.rows["train"] == plain.rows["train"]  # copies teach, but no row is counted twice
    assert done.version.manifest()["parameters"]["trainable"] == done.version.manifest()["parameters"]["all"]


@pytest.mark.parametrize("way", ["r_drop", "distill"])
def test_objectives_give_one_gradient_however_a_step_is_cut(toy_recipe: Toy, tmp_path: Path, way: str) -> None:
    model, _, rows = batch(toy_recipe, tmp_path)
    model.eval()
    if way == "distill":
        rows.taught = {"logits_sentiment": torch.randn(16, 3) * 3, "vector": torch.randn(16, model.width)}
    loss = distill.objective(Distill(teacher="x")) if way == "distill" else r_drop.objective(5.0)

    def gradient(parts: list[range]) -> torch.Tensor:
        model.zero_grad()
        batches = [Collator(rows.pad_token_id)([rows[row] for row in part]) for part in parts]
        total = torch.stack([model.items(one)["sentiment"] for one in batches]).sum()
        for part, one in zip(parts, batches, strict=True):
            loss(model, {**one, "items_sentiment": total, "share": torch.tensor(len(part) / 16)}).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    assert torch.allclose(gradient([range(16)]), gradient([range(5), range(5, 16)]), atol=1e-5)


def test_a_step_of_several_batches_tells_each_its_share(toy_recipe: Toy, tmp_path: Path) -> None:
    """What the test above hands to the objectives is what the trainer gives them."""
    from engine.tuning.trainer import fit

    model, _, rows = batch(toy_recipe, tmp_path)
    seen: list[float] = []

    def watched(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        seen.append(float(inputs["share"]))
        return objective.plain(model, inputs)

    tuning = toy_recipe(tuning={**FAST, "accumulate": 3, "batch_tokens": 96}).tuning
    fit(model, rows, tuning, seed=1, folder=tmp_path / "fit", objective=watched)
    steps = [seen[start : start + 3] for start in range(0, len(seen), 3)]
    assert len(steps) > 1
    assert all(sum(step) == pytest.approx(1) for step in steps)


@pytest.mark.parametrize("fixed", [0, 1, 2])
def test_remembered_layers_give_the_loss_and_gradients_of_the_whole(
    toy_recipe: Toy, tmp_path: Path, home: Path, fixed: int
) -> None:
    model, _, rows = batch(toy_recipe, tmp_path)
    weights.freeze(model, toy_recipe(tuning={"freeze_layers": fixed}).tuning)
    model.eval()

    def learnt() -> tuple[float, torch.Tensor]:
        model.zero_grad()
        value = model(**Collator(rows.pad_token_id)([rows[row] for row in range(16)]))["loss"]
        value.backward()
        return value.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    whole = learnt()
    for _ in range(2):  # computed, and read again
        assert lower.remember(model, rows, fixed, megabytes=64)
        loss, gradient = learnt()
        assert loss == pytest.approx(whole[0], abs=1e-5)
        assert torch.allclose(gradient, whole[1], atol=1e-5)
    assert len(list((home / "cache" / "layers").iterdir())) == 1


def test_remembered_layers_keep_within_their_room(toy_recipe: Toy, tmp_path: Path, home: Path) -> None:
    model, _, rows = batch(toy_recipe, tmp_path)
    assert not lower.remember(model, rows, 1, megabytes=0)
    taken = sum(rows.lengths) * model.width * 4
    rooms = 0
    for fixed in (0, 1, 2):
        many = Rows(rows.input_ids * (2**19 // taken), rows.targets, rows.pad_token_id)
        assert lower.remember(model, many, fixed, megabytes=1)
        rooms = sum(path.stat().st_size for path in (home / "cache" / "layers").iterdir())
        assert rooms <= 2**20
    assert rooms > 2**19


def test_a_run_reads_its_frozen_layers_from_the_cache(toy_recipe: Toy, home: Path) -> None:
    still = {**FAST, "epochs": 2, "freeze_layers": 1, "dropout": 0.0}
    train(toy_recipe(tuning=still))
    assert len(list((home / "cache" / "layers").glob("*.f32"))) == 1
    train(toy_recipe(name="head", tuning={**FAST, "method": "head"}))
    train(toy_recipe(name="anew", tuning={**FAST, "method": "head", "cache_mb": 0}))
    assert len(list((home / "cache" / "layers").glob("*.f32"))) == 2
