"""Federated training on toys: exact means, held rows, guarded updates, and a kill that changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from typer.testing import CliRunner

from engine import Recipe, Store, base_models, cli, load, training
from engine.data.rows import Row
from engine.data.split import Parts
from engine.errors import InputError, KeelError
from engine.evaluate import calibration
from engine.federate import road, rounds, start
from engine.federate.branch import dealt
from engine.federate.client import Client
from engine.federate.gap import pooled
from engine.federate.messages import EvaluateRes, FitRes, Parameters, taken, weighted_mean
from engine.federate.plan import Plan
from engine.federate.privacy import Guard
from engine.federate.record import privacy
from engine.federate.sharing import Sharing, read
from engine.federate.strategy import FedAvg, strategy
from engine.federate.temperature import GRID, temperatures
from engine.tasks import encoder
from engine.tasks.encoding import Rows
from engine.tasks.headed import model_spec, tokenizer_of
from engine.tasks.heads import HeadSpec
from engine.tuning import adapters, probe

Toy = Callable[..., Recipe]
TUNING = {"method": "lora", "epochs": 1, "batch_tokens": 512, "max_length": 48, "average": 0, "early_stopping": 0}
HEADS = {"sentiment": {"labels": ["negative", "neutral", "positive"]}}
TRIAL = Sharing(clients=3, skew=0.5)


@pytest.fixture
def two_heads(toy_recipe: Toy) -> Recipe:
    """Half of the toy's rows, by LoRA."""
    recipe = toy_recipe(tuning=TUNING)
    file = Path(recipe.data.train[0])
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:120]))
    return recipe


@pytest.fixture
def lora(two_heads: Recipe) -> Recipe:
    """The same with one head."""
    return two_heads.changed({"task.heads": HEADS})


def party(recipe: Recipe, run: Path, sharing: Sharing = TRIAL, guard: Guard | None = None) -> list[Client]:
    """The clients of a recipe, over one model."""
    import transformers

    base = base_models.resolve(recipe.base)
    transformers.set_seed(recipe.seeds[0])
    run.mkdir(parents=True, exist_ok=True)
    spec, tokenizer = model_spec(recipe, base), tokenizer_of(base.folder)
    model = encoder.build(recipe, base, Rows([], {}))
    model.encoder = adapters.wrap(model.encoder, recipe.tuning)
    return [
        Client(branch, recipe, model, spec, tokenizer, run / str(number), guard)
        for number, branch in enumerate(read(recipe, sharing, run).branches)
    ]


def model_of(client: Client) -> encoder.EncoderModel:
    return client._model


def fit_config(**more: Any) -> dict[str, Any]:
    return {"server_round": 1, "local_epochs": 1, "rate": 1.0, **more}


arrays = some.lists(some.floats(-1e3, 1e3), min_size=3, max_size=3).map(lambda values: [np.array(values)])


@given(some.lists(some.tuples(arrays, some.integers(1, 50)), min_size=1, max_size=5))
def test_the_mean_weighs_each_client_by_its_rows(answers: list[tuple[Parameters, int]]) -> None:
    everyone = np.concatenate([np.repeat(arrays[0][None], rows, axis=0) for arrays, rows in answers])
    assert weighted_mean(answers)[0] == pytest.approx(everyone.mean(0), abs=1e-9)


def test_one_client_and_one_round_are_plain_training(lora: Recipe, tmp_path: Path) -> None:
    recipe = lora.changed({"tuning.head_start": "random"})
    plain = training.train(recipe, store=Store(tmp_path / "plain"), fresh=True).version
    one = road.federate(recipe, Sharing(clients=1), Plan(rounds=1)).trained.version
    for file in ("model/model.safetensors", "model/heads.safetensors"):
        assert one.manifest()["files"][file] == plain.manifest()["files"][file]


def test_an_update_is_clipped_to_the_norm_and_its_noise_is_seeded() -> None:
    before, after = [np.zeros((20, 10)), np.zeros(30)], [np.full((20, 10), 3.0), np.full(30, -4.0)]

    def norm(arrays: Parameters) -> float:
        return float(np.sqrt(sum((array**2).sum() for array in arrays)))

    assert norm(Guard(1.5, 0.0, seed=1, client=0).guarded(before, after, 1)) == pytest.approx(1.5)
    near = [array * 1e-3 for array in after]
    assert np.allclose(Guard(1.5, 0.0, seed=1, client=0).guarded(before, near, 1)[0], near[0])
    drawn = ((1, 0), (1, 0), (2, 0), (1, 1))
    noisy = [Guard(1.5, 2.0, seed, client).guarded(before, before, 1) for seed, client in drawn]
    assert np.array_equal(noisy[0][0], noisy[1][0])
    assert not np.array_equal(noisy[0][0], noisy[2][0])
    assert not np.array_equal(noisy[0][0], noisy[3][0])
    spread = np.concatenate([array.ravel() for array in noisy[0]]).std()
    assert spread == pytest.approx(3.0, rel=0.2)


def test_a_clipped_run_says_what_it_does_not_promise(lora: Recipe) -> None:
    clipped = Plan(clip=0.1, noise=0.5)
    assert "no differential privacy" in privacy(clipped)
    assert not road.probed(lora, clipped)  # gradients would tell what the clipping hides
    assert road.probed(lora, Plan())


def test_a_client_guards_what_it_sends(lora: Recipe, tmp_path: Path) -> None:
    client = party(lora, tmp_path, guard=Guard(0.01, 0.0, seed=13, client=0))[0]
    before = taken(model_of(client))
    after = client.fit(before, fit_config())[0]
    assert sum(((a - b) ** 2).sum() for a, b in zip(after, before, strict=True)) ** 0.5 == pytest.approx(0.01, rel=1e-3)


def test_no_row_leaves_its_client(two_heads: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a client answers is arrays of the parameters' shapes and numbers, the same however long its texts."""
    sent: list[tuple[Any, ...]] = []
    for of, name in ((Client, "fit"), (Client, "evaluate"), (start.Probe, "fit")):
        real = getattr(of, name)

        def told(self: Any, parameters: Any, config: Any, real: Any = real) -> Any:
            answer = real(self, parameters, config)
            sent.append((parameters, config, answer))
            return answer

        monkeypatch.setattr(of, name, told)
    done = road.federate(two_heads, TRIAL, Plan(rounds=1))
    shared = read(two_heads, TRIAL, tmp_path)
    clients = party(two_heads, tmp_path / "again")
    shapes = {array.shape for array in taken(model_of(clients[0]))}
    heads = {(head.width, model_of(clients[0]).width) for head in model_of(clients[0]).specs}
    shapes |= heads | {(width,) for width, _ in heads} | {(model_of(clients[0]).width,), ()}
    rows = {text for branch in shared.branches for row in branch.train for text in (row.text, *row.text.split())}
    assert len(sent) > 3
    for parameters, config, (first, count, metrics) in sent:
        answer = first if isinstance(first, list) else []
        assert {array.shape for array in [*parameters, *answer]} <= shapes
        assert all(array.dtype.kind == "f" for array in [*parameters, *answer])
        assert isinstance(count, int)
        assert all(isinstance(value, int | float) for value in metrics.values())
        assert not rows & {value for value in config.values() if isinstance(value, str)}
    named = json.dumps(done.trained.version.manifest())
    assert not [row.text for branch in shared.branches for row in branch.train if row.text in named]


def test_each_row_is_of_one_client_and_test_rows_of_none(lora: Recipe, tmp_path: Path) -> None:
    parts, _, _ = training.prepare(lora, tmp_path)
    shared = read(lora, TRIAL, tmp_path)
    trained = [row.origin for branch in shared.branches for row in branch.train]
    assert sorted(trained) == sorted(row.origin for row in parts.train)
    assert {row.origin for row in shared.test} == {row.origin for row in parts.test}
    held = {row.origin for branch in shared.branches for row in (*branch.dev, *branch.calibration)}
    assert not held & set(trained)
    assert not {row.origin for row in shared.test} & (held | set(trained))


def test_a_small_alpha_skews_the_labels(lora: Recipe) -> None:
    labels = ("negative", "neutral", "positive")
    rows = [Row(f"text {n}", {"sentiment": labels[n % 3]}, None, f"f:{n}") for n in range(600)]

    def largest(skew: float | None) -> float:
        """Mean over the labels of the share that lies with one client."""
        found = dealt(Parts(rows, [], [], []), lora, 3, skew, seed=5)
        counts = [
            [sum(row.labels["sentiment"] == label for row in branch.train) for branch in found] for label in labels
        ]
        return float(np.mean([max(one) / sum(one) for one in counts]))

    assert largest(None) < 0.45 < 0.6 < largest(0.2)


def test_summed_gradients_begin_the_heads_as_pooled_rows_would(two_heads: Recipe, tmp_path: Path) -> None:
    clients = party(two_heads, tmp_path / "run")
    model = model_of(clients[0])
    start.fit_heads(model, [start.Probe(model, client.train) for client in clients])
    ours = {name: value.detach().numpy().copy() for name, value in model.heads.named_parameters()}
    every = party(two_heads, tmp_path / "all", Sharing(clients=1))[0]
    probe.fit_heads(model_of(every), every.train)
    features = probe.embedded(model, every.train)
    for head in model.specs:
        theirs = [value.detach().numpy() for value in model_of(every).heads.get_submodule(head.name).parameters()]
        before, after = features @ theirs[0].T + theirs[1], features @ ours[f"{head.name}.weight"].T
        after = after + ours[f"{head.name}.bias"]
        chances = [calibration.probabilities(one, 1.0, multi_label=head.multi_label) for one in (before, after)]
        assert np.abs(chances[0] - chances[1]).max() < 0.02


def test_temperatures_are_those_of_pooled_rows() -> None:
    random = np.random.default_rng(0)
    head = HeadSpec("h", "single", ("a", "b", "c"))
    truth = random.integers(3, size=400)
    logits = random.normal(size=(400, 3)) * 2 + np.eye(3)[truth] * 4
    answers = []
    for some_rows in (slice(0, 150), slice(150, 400)):
        mine, labels = logits[some_rows] * 2.5, truth[some_rows]
        sums = {
            f"h {place}": calibration.loss(mine, labels, at, multi_label=False) * len(labels)
            for place, at in enumerate(GRID)
        }
        answers.append(EvaluateRes(0.0, len(labels), {"h rows": len(labels), **sums}))
    together = calibration.fit_temperature(logits * 2.5, truth, multi_label=False)
    assert temperatures([head], answers)["h"] == pytest.approx(together, rel=0.005)


def test_fedprox_holds_clients_near_the_beginning(lora: Recipe, tmp_path: Path) -> None:
    def moved(name: str, plan: Plan) -> float:
        client = party(lora, tmp_path / name)[0]
        before = taken(model_of(client))
        ((_, ins),) = strategy(plan).configure_fit(1, before, [client])
        after = client.fit(ins.parameters, ins.config)[0]
        return float(np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(after, before, strict=True))))

    assert moved("held", Plan(strategy="fedprox", mu=100.0)) < 0.8 * moved("free", Plan())


class Killed(KeelError):
    pass


def test_a_killed_run_ends_with_the_version_it_would_have_had(lora: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, sharing = Plan(rounds=2), Sharing(clients=2, skew=0.5)
    whole = road.federate(lora, sharing, plan).trained.version.manifest()
    real, calls = Client.fit, []

    def dies(self: Client, parameters: Any, config: Any) -> Any:
        calls.append(config["server_round"])
        if len(calls) == 4:  # within the second round
            raise Killed
        return real(self, parameters, config)

    monkeypatch.setattr(Client, "fit", dies)
    with pytest.raises(Killed):
        road.federate(lora, sharing, plan)
    assert len(Store().versions("toy")) == 1
    done = road.federate(lora, sharing, plan).trained
    assert calls[4:] == [2, 2]
    for name in ("files", "federated", "history"):
        theirs, ours = whole[name], done.version.manifest()[name]
        if name == "files":
            theirs, ours = ({k: v for k, v in one.items() if k.startswith("model/")} for one in (theirs, ours))
        assert ours == theirs
    assert not list(done.run.glob("**/checkpoint-*"))


def test_a_round_cut_off_while_it_is_written_is_not_read(tmp_path: Path) -> None:
    rounds._keep(tmp_path, 1, [np.ones(3)], [{"epoch": 1, "loss": 0.5, "score": None}])
    (tmp_path / ".round").write_bytes(b"half")
    done, kept = rounds._last(tmp_path)
    assert done == 1
    assert kept is not None
    assert kept[1] == [{"epoch": 1, "loss": 0.5, "score": None}]


def test_the_version_names_its_clients_and_the_gap(lora: Recipe) -> None:
    against = pooled(lora, training.Quiet())
    done = road.federate(lora, TRIAL, Plan(rounds=1), against=against)
    told = done.trained.version.manifest()
    assert Store().verify(done.trained.version) == []
    assert told["federated"]["sharing"] == {"clients": 3, "skew": 0.5}
    assert sum(client["train"] for client in told["federated"]["clients"]) == told["rows"]["train"]
    assert [entry["epoch"] for entry in told["history"]] == [1]
    assert told["federated"]["pooled"] == str(against)
    for gap in done.gaps:
        assert gap.value == pytest.approx(gap.pooled - gap.federated)
        assert gap.low <= gap.value <= gap.high
    assert {(gap.head, gap.metric) for gap in done.gaps} >= {("sentiment", "macro_f1"), ("sentiment", "accuracy")}
    card = (done.trained.version.folder / "card.md").read_text()
    assert "## Federated training" in card
    assert "client-3" in card
    assert load("toy").predict(["Profit fell 12%"])[0].model == "toy@1"


def test_branches_come_of_a_column(lora: Recipe, tmp_path: Path) -> None:
    file = Path(lora.data.train[0])
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**row, "shop": "ab"[n % 2]}) + "\n" for n, row in enumerate(rows)))
    found = read(lora, Sharing(by="shop"), tmp_path).branches
    assert [branch.name for branch in found] == ["a", "b"]
    shops = {f"{file}:{n}": "ab"[(n - 1) % 2] for n in range(1, len(rows) + 1)}
    assert all(shops[row.origin] == branch.name for branch in found for row in (*branch.train, *branch.calibration))
    with pytest.raises(InputError, match="all rows say"):
        read(lora, Sharing(by="lang"), tmp_path)
    with pytest.raises(InputError, match="does not say it"):
        read(lora, Sharing(by="town"), tmp_path)


def test_branches_come_of_their_own_files(toy_recipe: Toy, tmp_path: Path) -> None:
    lora = toy_recipe(tuning=TUNING, task={"kind": "classify", "heads": HEADS})
    lines = Path(lora.data.train[0]).read_text().splitlines(keepends=True)
    files = []
    for name, part in (("north", lines[:110]), ("south", lines[110:220]), ("test", lines[220:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(part))
        files.append(str(tmp_path / f"{name}.jsonl"))
    sharing = Sharing(files=tuple(files[:2]))
    with pytest.raises(InputError, match="test rows must be its own"):
        read(lora, sharing, tmp_path)
    recipe = lora.changed({"data.test": [files[2]], "data.on_leak": "drop"})
    (tmp_path / "toy.yaml").write_text(recipe.yaml())
    words = ["federate", str(tmp_path / "toy.yaml"), *("--client", files[0]), *("--client", files[1])]
    told = CliRunner().invoke(cli.app, [*words, "--rounds", "1", "--json"], catch_exceptions=False).stdout
    done = json.loads(told)
    assert done["version"] == "toy@1"
    manifest = Store().get("toy").manifest()
    assert done["federated"] == manifest["federated"]
    assert set(manifest["data_sha256"]) == set(files)
    assert [client["name"] for client in manifest["federated"]["clients"]] == files[:2]
    assert manifest["federated"]["exported_by"] in files[:2]
    shared = read(recipe, sharing, tmp_path / "again")
    for branch, name in zip(shared.branches, files, strict=False):
        assert {row.origin.rpartition(":")[0] for row in (*branch.train, *branch.calibration)} == {name}


@pytest.mark.parametrize(
    ("sharing", "plan", "says"),
    [
        (Sharing(), Plan(), "whose rows"),
        (Sharing(clients=2, by="shop"), Plan(), "whose rows"),
        (Sharing(files=("a.csv",)), Plan(), "nobody to train with"),
        (Sharing(by="shop", skew=0.5), Plan(), "goes with --clients"),
        (TRIAL, Plan(strategy="fedprox"), "needs --mu"),
        (TRIAL, Plan(mu=0.1), "is FedProx's"),
        (TRIAL, Plan(noise=1.0), "give both"),
        (TRIAL, Plan(clip=0.0), "above 0"),
    ],
)
def test_settings_that_contradict_are_refused(lora: Recipe, sharing: Sharing, plan: Plan, says: str) -> None:
    with pytest.raises(InputError, match=says):
        road.federate(lora, sharing, plan)


def test_a_recipe_that_cannot_travel_is_refused(toy_recipe: Toy) -> None:
    for section, says in (
        ({"method": "full"}, "tuning.method=lora"),
        ({**TUNING, "r_drop": 1.0}, "tuning.r_drop is not for"),
    ):
        with pytest.raises(InputError, match=says):
            road.federate(toy_recipe(tuning=section), TRIAL, Plan())
    with pytest.raises(InputError, match="trains one"):
        road.federate(toy_recipe(tuning=TUNING, seeds=[1, 2]), TRIAL, Plan())


def test_the_strategy_weighs_scores_by_rows(lora: Recipe) -> None:
    one = EvaluateRes(1.0, 10, {"s rows": 10, "s right": 9.0})
    two = EvaluateRes(3.0, 30, {"s rows": 30, "s right": 15.0})
    none = EvaluateRes(0.0, 0)
    client: Any = None
    loss, metrics = FedAvg(Plan()).aggregate_evaluate(1, [(client, one), (client, two), (client, none)])
    assert loss == pytest.approx(2.5)
    assert metrics["accuracy"] == pytest.approx(24 / 40)
    assert FedAvg(Plan()).aggregate_evaluate(1, [(client, none)]) == (None, {})
    _, told = FedAvg(Plan()).aggregate_fit(
        1, [(client, FitRes([np.zeros(1)], 1, {"loss": 1.0})), (client, FitRes([np.ones(1)], 3, {"loss": 2.0}))]
    )
    assert told["loss"] == pytest.approx(1.75)
