"""Tasks on one road: tag, extract, rank, pairs and numbers train, store, reload and export on a toy base."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import Recipe, load, train
from engine.data.rows import BadRow, Row
from engine.errors import InputError, RecipeError
from engine.tasks import kinds
from engine.tasks.encoder import EncoderModel, load_encoder
from engine.tasks.encoding import Collator, Rows, encoded
from engine.tasks.extract import Span, f1
from engine.tasks.heads import HeadSpec, ModelSpec, specs
from engine.tasks.kinds import Output
from engine.tasks.rank import ndcg_at, reciprocal_rank
from engine.tasks.tag import token_labels
from engine.training import prepare

Write = Callable[[str, str | bytes], Path]
NAMES = ["Halden Motors", "Brackwater", "Ostmark AG", "Quill & Sons", "Tern Foods"]
VERBS = ["sues", "buys", "warns of", "sells", "drops"]
THINGS = ["a rival", "its bakery", "new tariffs", "two ships", "the merger", "a mine", "old stock", "the bid"]


def sentences(count: int) -> list[tuple[str, str]]:
    """Sentences and the company that each is about."""
    draw = random.Random(0)
    found = {}
    while len(found) < count:
        name = draw.choice(NAMES)
        when = draw.choice(["spring", "May", "2031"])
        text = f"{name} {draw.choice(VERBS)} {draw.choice(THINGS)} in {when} {len(found)}"
        found[text] = name
    return list(found.items())


def rows_of(task: str) -> list[dict[str, Any]]:
    given = sentences(120)
    if task == "tag":
        return [{"text": text, "entities": [{"start": 0, "end": len(name), "label": "org"}]} for text, name in given]
    if task == "extract":
        asked = [{"text": f"Who {number}?", "pair": text, "answer": {"text": [name], "answer_start": [0]}}
                 for number, (text, name) in enumerate(given)]  # fmt: skip
        return [row if number % 4 else {**row, "answer": []} for number, row in enumerate(asked)]
    if task == "rank":
        return [
            {"text": f"{name} {number}", "pair": other, "relevance": float(other == text)}
            for number, (text, name) in enumerate(given[:40])
            for other in (text, given[number + 41][0], given[number + 42][0])
        ]
    if task == "desk":
        return [
            {"text": text, "sides": "court" if " sues " in text else "deal", "topics": ["season"] * ("spring" in text),
             "names": [{"start": 0, "end": len(name), "label": "org"}] if number % 10 else None}
            for number, (text, name) in enumerate(given)
        ]  # fmt: skip
    return [{"text": text, "pair": name, "about": "yes" if number % 2 else "no", "size": len(text) / 10}
            for number, (text, name) in enumerate(given)]  # fmt: skip


TASKS: dict[str, dict[str, Any]] = {
    "tag": {"kind": "tag", "labels": ["org", "person"]},
    "extract": {"kind": "extract"},
    "rank": {"kind": "rank", "loss": "listwise"},
    "classify": {"kind": "classify", "heads": {"about": {"labels": ["no", "yes"]}, "size": {"regression": True}}},
    "desk": {
        "kind": "classify",
        "heads": {
            "sides": {"labels": ["court", "deal"]},
            "topics": {"labels": ["season"], "multi_label": True},
            "names": {"labels": ["org"], "entities": True, "weight": 2.0, "class_weights": "sqrt"},
        },
    },
}
ALONE = ("tag", "desk")
"""They read single texts."""


def recipe(task: str, base: Path, write: Write, **tuning: Any) -> Recipe:
    file = write(f"{task}.jsonl", "".join(json.dumps(row) + "\n" for row in rows_of(task)))
    data: dict[str, Any] = {"train": str(file), "on_leak": "drop"}
    if task == "classify":
        data["columns"] = {"pair": "pair"}
    return Recipe.parse(
        {
            "name": task, "base": str(base), "task": TASKS[task], "data": data, "track": [],
            "tuning": {"epochs": 1, "batch_tokens": 256, "max_length": 48, **tuning},
            "export": {"format": "onnx", "precision": "fp32", "max_quality_loss": 0.05},
        }
    )  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_a_task_trains_exports_and_answers_the_same_in_a_fresh_process(task: str, toy_base: Path, write: Write) -> None:
    done = train(recipe(task, toy_base, write))
    assert done.figures.rows == done.rows["test"]
    assert all(loss["largest_difference"] < 1e-3 for loss in done.version.manifest()["export"]["losses"])
    text: Any = "Brackwater sues 利润 in May" if task in ALONE else ("Brackwater 利润", "Tern Foods sells a mine 😀")
    code = f"from engine import load; print(load({task!r}, backend='torch').predict([{text!r}])[0].heads)"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8")
    assert fresh.stdout.strip() == str(load(task, backend="torch").predict([text])[0].heads)
    if task not in ALONE:
        with pytest.raises(InputError, match="this model reads pairs of texts"):
            load(task).predict(["Brackwater sues"])
    assert load(task).predict([text])[0].vector is None  # its recipe asks for none
    alone, among = load(task).predict([text]), load(task).predict([text, text if task in ALONE else ("a", "b"), text])
    assert alone[0] == among[0] == among[2]


@pytest.mark.parametrize("task", TASKS)
def test_padded_bucketed_and_accumulated_batches_give_one_gradient(task: str, toy_base: Path, write: Write) -> None:
    import transformers

    from engine.base_models import resolve
    from engine.data import sources
    from engine.tasks import encoder, headed

    made = recipe(task, toy_base, write, dropout=0.0)
    base = resolve(made.base)
    spec = headed.model_spec(made, base)
    rows = encoded(sources.load(made.data.train, made.data, spec.heads).rows[:24],
                   transformers.AutoTokenizer.from_pretrained(base.folder), spec)  # fmt: skip
    torch.manual_seed(3)
    model = encoder.build(made, base, rows).eval()

    def gradient(batches: list[list[int]]) -> tuple[float, torch.Tensor]:
        model.zero_grad()
        made_batches = [Collator(rows.pad_token_id)([rows[row] for row in batch]) for batch in batches]
        found = [model.items(batch) for batch in made_batches]
        total = {f"items_{name}": torch.stack([items[name] for items in found]).sum() for name in found[0]}
        value = 0.0
        for batch in made_batches:
            loss = model(**batch, **total)["loss"]
            loss.backward()
            value += loss.item()
        return value, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    whole = gradient([list(range(24))])
    # Rows of one query stay together: listwise ranking compares them.
    parts = [[0, 1, 2], list(range(3, 15)), list(range(15, 24))]
    for batches in (parts, parts[::-1], [sorted(part, key=lambda row: rows.lengths[row]) for part in parts]):
        value, found = gradient(batches)
        assert value == pytest.approx(whole[0], abs=1e-5, rel=1e-6)  # large losses: fp32 has seven digits
        assert torch.allclose(found, whole[1], atol=1e-5)


def test_token_labels_begin_where_spans_begin_and_every_chinese_character_is_a_word() -> None:
    head = HeadSpec("entities", "tags", ("org",))
    text = "Halden银行rose"
    offsets = np.array([[0, 0], [0, 3], [3, 6], [6, 7], [7, 8], [8, 12], [0, 0]])
    parts = np.array([-1, 0, 0, 0, 0, 0, -1])
    labels = token_labels(head, [(0, 6, "org"), (6, 8, "org")], text, offsets, parts)
    assert labels.tolist() == [-100, 1, -100, 1, 2, 0, -100]


def test_span_f1_is_seqevals() -> None:
    metrics = pytest.importorskip("seqeval.metrics")
    head = HeadSpec("entities", "tags", ("org", "per"))
    draw = np.random.default_rng(0)
    tags = ["O", "B-org", "I-org", "B-per", "I-per"]
    rows, outputs, truth, answers = [], [], [], []
    for _ in range(40):
        count = int(draw.integers(1, 9))
        real, given = draw.integers(0, 5, count), draw.integers(0, 5, count)
        real[0] = real[0] if real[0] % 2 else 0  # gold spans are well-formed here: an I follows its own kind
        for place in range(1, count):
            if real[place] and real[place] % 2 == 0 and real[place - 1] not in (real[place], real[place] - 1):
                real[place] -= 1
        spans: list[tuple[int, int, str]] = []
        for place, tag in enumerate(real.tolist()):
            if tag % 2:
                spans.append((3 * place, 3 * place + 2, head.labels[(tag - 1) // 2]))
            elif tag:
                start, _, label = spans.pop()
                spans.append((start, 3 * place + 2, label))
        offsets = np.array([[3 * place, 3 * place + 2] for place in range(count)])
        outputs.append(kinds.Output(np.eye(5)[given] * 9, offsets, np.zeros(count, dtype=np.int64)))
        rows.append(Row(" ".join(["ab"] * count), {"entities": tuple(spans)}, None, "x:1"))
        truth.append([tags[tag] for tag in real])
        answers.append([tags[tag] for tag in given])
    found = kinds.of("tags").metrics(head, rows, outputs, 1.0)["span_f1"](np.arange(40))
    assert found == pytest.approx(metrics.f1_score(truth, answers))


def test_ties_count_against_the_ranking() -> None:
    truth, scores = np.array([1.0, 0.0, 0.0]), np.zeros(3)
    assert reciprocal_rank(truth, scores) == pytest.approx(1 / 3)
    assert ndcg_at(truth, scores, 10) == pytest.approx(0.5)


def test_squad_f1_knows_articles_and_no_answer() -> None:
    assert f1("the Halden bank", "Halden Bank") == 1.0
    assert f1("", "") == 1.0
    assert f1("Halden", "") == 0.0


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("tags", [{"start": 0, "end": 99, "label": "org"}], "lies outside the text"),
        ("tags", [{"start": 0, "end": 2, "label": "ogr"}], "did you mean 'org'?"),
        ("tags", "org", "give a list of"),
        ("span", {"text": ["xx"], "answer_start": [0]}, "stands"),
        ("relevance", 3, "from 0 to 1"),
        ("regression", "much", "takes a number"),
        ("regression", "nan", "finite"),
    ],
)
def test_a_wrong_label_names_field_and_remedy(kind: Any, value: Any, told: str) -> None:
    with pytest.raises(BadRow, match=told):
        kinds.of(kind).read(HeadSpec("h", kind, ("org",)), value, "column", "Halden rose", "Halden rose")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tuning": {"method": "contrastive"}, "task": TASKS["tag"]}, "cannot tune task tag; it can: full, head, lora"),
        ({"tuning": {"r_drop": 1.0}, "task": {"kind": "extract"}}, "tuning.r_drop cannot train task extract"),
        ({"tuning": {"method": "contrastive", "r_drop": 1.0}}, "r_drop cannot train method contrastive"),
        ({"tuning": {"adversarial": {}, "distill": {"teacher": "x"}}}, "take one of them"),
        ({"tuning": {"rank": 4}}, "rank is for the methods adalora, adapter, lora"),
        ({"task": {"kind": "tags", "labels": ["x"]}}, "no such kind 'tags'"),
        ({"task": {"kind": "classify", "heads": {"a": {"labels": ["x", "y"], "regression": True}}}}, "regression head"),
        ({"data": {"train": "x.csv", "per_label": 5}, "task": TASKS["tag"]}, "per_label"),
        (
            {"task": {"kind": "classify", "heads": {"a": {"labels": ["x"], "entities": True, "multi_label": True}}}},
            "a head of entities takes neither",
        ),
        ({"task": {"kind": "classify", "heads": {"a": {"entities": True}}}}, "one of entities one"),
        ({"task": TASKS["desk"], "tuning": {"distill": {"teacher": "x"}}}, "it learns neither numbers nor entities"),
        (
            {
                "task": {"kind": "classify", "heads": {"a": {"labels": ["x"], "entities": True}}},
                "data": {"train": "x.csv", "noise": {"share": 0.1}},
            },
            "would move the spans",
        ),
        (
            {
                "data": {"train": "x.csv", "per_label": 5},
                "task": {"kind": "classify", "heads": {"a": {"labels": ["x"], "multi_label": True}}},
            },
            "per_label draws rows by the label of a single-label head",
        ),
        (
            {"tuning": {"adapt": {"texts": "t.txt"}, "distill": {"teacher": "x", "layers": 1}}},
            "what adapt learnt is lost",
        ),
        ({"tuning": {"adapt": {"texts": "t.txt", "method": "clm"}}}, "clm cannot train the base of task classify"),
        ({"task": {"kind": "extract"}, "tuning": {"label_smoothing": 0.1}}, "label_smoothing is about labels"),
        (
            {
                "task": {"kind": "classify", "heads": {"a": {"labels": ["x", "y"]}}},
                "tuning": {"method": "contrastive", "head_start": "random"},
            },
            "that of method contrastive does not; leave it out",
        ),
        (
            {
                "task": {"kind": "classify", "heads": {"a": {"labels": ["x", "y"], "class_weights": "sqrt"}}},
                "tuning": {"method": "zero_shot"},
            },
            "class_weights weigh a loss that method zero_shot does not have",
        ),
    ],
)
def test_what_a_task_cannot_do_is_refused_when_the_recipe_is_read(change: dict[str, Any], told: str) -> None:
    plain = {"name": "x", "task": TASKS["classify"], "data": {"train": "x.csv"}}
    with pytest.raises(RecipeError, match=told):
        Recipe.parse({**plain, **change})


@pytest.mark.parametrize(("task", "shared"), [("rank", "text"), ("extract", "pair")])
def test_what_rows_share_stays_in_one_part(
    task: str, shared: str, toy_base: Path, write: Write, tmp_path: Path
) -> None:
    if task == "extract":
        rows = [{**row, "pair": f"{row['pair']}."} for row in rows_of(task) for _ in range(2)]
        rows = [{**row, "text": f"{row['text']} {number}"} for number, row in enumerate(rows)]
        made = recipe(task, toy_base, lambda name, _: write(name, "".join(json.dumps(row) + "\n" for row in rows)))
    else:
        made = recipe(task, toy_base, write)
    parts, _, dropped = prepare(made, tmp_path)
    found = [{getattr(row, shared) for row in part} for part in vars(parts).values()]
    assert dropped == 0
    assert sum(map(len, found)) == len(set.union(*found))


def test_an_answer_is_no_longer_than_the_recipe_says(toy_base: Path, write: Write) -> None:
    made = recipe("extract", toy_base, write).changed({"task": {"kind": "extract", "longest_answer": 2}})
    (head,) = specs(made.task)
    logits = np.zeros((8, 2))
    logits[2, 0] = logits[7, 1] = 9.0
    offsets = np.array([(0, 0), *((4 * place, 4 * place + 3) for place in range(7))])
    output = Output(logits, offsets, np.array([-1, *[1] * 7]))
    spans = [Span().answer(one, output, 1.0, "Who?", "abc " * 7) for one in (head, HeadSpec("answer", "span"))]
    short, usual = (len((span.text or "").split()) for span in spans)
    assert short <= 2
    assert usual == 6


def test_a_recipe_reads_back_from_what_a_version_stores(toy_base: Path, write: Write) -> None:
    made = recipe("tag", toy_base, write, method="lora", rank=4)
    path = write("back.yaml", made.yaml())
    assert Recipe.load(path).digest() == made.digest()


def test_rows_with_a_prefix_keep_their_characters(toy_base: Path) -> None:
    import transformers

    spec = ModelSpec("tag", (HeadSpec("entities", "tags", ("org",)),), "query: ", 48, ("en",))
    tokenizer = transformers.AutoTokenizer.from_pretrained(toy_base)
    rows: Rows = encoded([Row("profit fell", {"entities": ()}, None, "x:1")], tokenizer, spec)
    inside = rows.offsets[0][rows.parts[0] == 0]
    assert inside.min() == 0
    assert inside.max() == len("profit fell")
    assert EncoderModel(load_encoder(toy_base), spec.heads).specs == spec.heads
