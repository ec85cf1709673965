"""A chat model learns to answer: which tokens teach it, what is stored, and what answers."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from engine import Recipe, Store, base_models, load, resources, train, training
from engine.cli import app
from engine.compare import compare
from engine.data.rows import BadRow, Row
from engine.data.split import Parts
from engine.errors import ExportError, InputError, KeelError, RecipeError
from engine.generator import Generator
from engine.resources import packaged
from engine.tasks import causal, kinds, task
from engine.tasks.chat import Chat
from engine.tasks.encoding import MISSING, Collator
from engine.tasks.generate import Generation, _merge
from engine.tasks.heads import HeadSpec
from engine.tasks.reply import messages
from engine.tuning import adapters, weights
from tests.engine.conftest import TEMPLATE

FORGETFUL = TEMPLATE.replace("{% for message in messages %}", "{% for message in messages[-2:] %}")
"""A template that drops earlier turns, as some drop past reasoning."""
METHODS = ("full", "lora", "adalora", "ia3", "prefix", "prompt", "p_tuning")
PROMPTS = ("Profit fell", "利润下降了多少？", "What <|end|> does\nthis mean?", " a ")
HEAD = HeadSpec("answer", "answer")
Toy = Callable[..., Recipe]


@pytest.fixture
def toy_generate(toy_chat_base: Path, tmp_path: Path, headlines: list[dict[str, Any]]) -> Toy:
    """A recipe over 60 headlines, asked for their sentiment in words; keyword arguments replace sections."""
    file = tmp_path / "rows.jsonl"
    rows = [
        {"text": f"How does it sound? {item['title']}", "answer": f"It sounds {item['sentiment']}."}
        for item in headlines[::70][:60]
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def make(**sections: Any) -> Recipe:
        values: dict[str, Any] = {
            "name": "toy-chat",
            "base": str(toy_chat_base),
            "task": {"kind": "generate", "system": "Say how it sounds.", "max_new_tokens": 8},
            "data": {"train": str(file), "on_leak": "drop"},
            "tuning": {"epochs": 1, "batch_tokens": 512, "max_length": 128, "learning_rate": 1e-2},
            "track": [],
        }
        return Recipe.parse({**values, **sections})

    return make


@pytest.fixture(scope="session")
def chat(toy_chat_base: Path) -> Chat:
    return Chat(toy_chat_base)


def tuned(method: str, **options: Any) -> dict[str, Any]:
    return {"method": method, "epochs": 1, "batch_tokens": 512, "max_length": 128, "learning_rate": 1e-2, **options}


def row(text: str, answer: Any) -> Row:
    return Row(text, {"answer": answer}, None, "rows:1")


def turns(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[at % 2], "content": content} for at, content in enumerate(contents)]


# --- which tokens teach


def test_the_loss_is_on_the_answer_and_its_end_alone(chat: Chat) -> None:
    (example,) = chat.examples(turns("Profit fell", " It sounds bad. \n"), 128)
    taught = [token for token, answer in zip(example.input_ids, example.answers, strict=True) if answer]
    assert chat.tokenizer.decode(taught) == "It sounds bad.<|end|>"
    assert chat.tokenizer.decode(example.input_ids).endswith("<|start|>assistant\nIt sounds bad.<|end|>")
    assert chat.tokenizer.pad_token_id == chat.ends[0]
    labels = causal.encoded([row("Profit fell", "It sounds bad.")], chat, 128).targets["answer"][0]
    assert labels[-1] == chat.ends[0]
    assert (labels != MISSING).sum() == len(taught)


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30).filter(str.strip))
@settings(max_examples=100, deadline=None)
def test_training_shows_the_prompt_that_serving_shows(chat: Chat, asked: str, said: str) -> None:
    asked, said = (text.encode("utf-8", "replace").decode() for text in (asked, said))
    (example,) = chat.examples(turns(asked, said), 512)
    prompt = chat.prompt(turns(asked))
    assert example.input_ids[: len(prompt)] == prompt
    assert example.answers == [False] * len(prompt) + [True] * (len(example.input_ids) - len(prompt))
    assert chat.text(example.input_ids[len(prompt) :]) == said.strip()


@given(st.lists(st.sampled_from(["<|end|>", "<|start|>", "<|", "end", "|>", "a", " "]), max_size=8))
@settings(max_examples=100, deadline=None)
def test_nobody_ends_a_turn_by_typing_its_end(chat: Chat, pieces: list[str]) -> None:
    plain, typed = (chat.prompt(turns(text)) for text in ("a", "".join(pieces)))
    for special in (0, 1):
        assert typed.count(special) == plain.count(special)


def test_every_assistant_turn_of_a_conversation_teaches(chat: Chat) -> None:
    (example,) = chat.examples(turns("One?", "First.", "Two?", "Second."), 128)
    taught = [token for token, answer in zip(example.input_ids, example.answers, strict=True) if answer]
    assert chat.tokenizer.decode(taught) == "First.<|end|>Second.<|end|>"


def test_a_template_that_drops_earlier_turns_gives_an_example_a_turn(chat: Chat, toy_chat_base: Path) -> None:
    forgetful = Chat(toy_chat_base)
    forgetful.tokenizer.chat_template = FORGETFUL
    conversation = turns("One?", "First.", "Two?", "Second.", "Three?", "Third.")
    examples = list(forgetful.examples(conversation, 128))
    for example, said in zip(examples, ("First.", "Second.", "Third."), strict=True):
        at = example.answers.index(True)
        assert all(example.answers[at:])
        assert forgetful.text(example.input_ids[at:]) == said


def test_a_cut_answer_ends_with_a_whole_character_and_no_end(chat: Chat) -> None:
    prompt = len(chat.prompt(turns("How?")))
    for room in range(1, 12):
        examples = list(chat.examples(turns("How?", "利润下降了"), prompt + room))
        for example in examples:
            assert example.cut
            text = chat.text(example.input_ids[prompt:])
            assert text
            assert "利润下降了".startswith(text)
            assert example.input_ids[-1] != chat.ends[0]
    assert not list(chat.examples(turns("How?", "Yes."), prompt))
    found = causal.encoded([row("How?", "Yes. " * 40), row("How? " * 60, "Yes."), row("How?", "Yes.")], chat, 64)
    assert (found.cut, found.answered) == (1, [0, 2])


def test_rows_say_what_is_wrong_with_their_answers(chat: Chat) -> None:
    reply = kinds.of("answer")

    def read(value: Any) -> Any:
        return reply.read(HEAD, value, "answer", "How?", None)

    assert read(" Yes. ") == "Yes."
    for empty in ("", " \n", None, 3):
        with pytest.raises(BadRow, match="field 'answer'"):
            read(empty)
    said = [{"role": "assistant", "content": "First. "}, *turns("Two?", "Second.")]
    assert messages(row("One?", read(said))) == turns("One?", "First.", "Two?", "Second.")
    with pytest.raises(BadRow, match="has the turns user, assistant; they follow the prompt"):
        read(turns("One?", "First."))
    with pytest.raises(BadRow, match="field 'answer', turn 1, content' is empty"):
        read([{"role": "assistant", "content": " "}])
    with pytest.raises(BadRow, match=r"turn 1: not \{role, content\}"):
        read([{"role": "narrator", "content": "So it was."}])


# --- the loss


@pytest.fixture
def answers(chat: Chat) -> causal.Replies:
    rows = [
        row("Profit fell", "Bad."),
        row("Rates stay as they were for long", "Neither good nor bad."),
        row("利润", "好"),
    ]
    return causal.encoded([*rows, row("Up?", "Yes, and it goes on: sales, profit and margins.")], chat, 128)


@pytest.mark.parametrize("method", METHODS)
def test_padding_and_accumulation_change_no_loss_and_no_gradient(
    toy_generate: Toy, toy_chat_base: Path, answers: causal.Replies, method: str
) -> None:
    torch.manual_seed(3)
    model = causal.CausalModel(causal.load(toy_chat_base))
    if method in adapters.PEFT:
        tuning = toy_generate(tuning=tuned(method)).tuning
        model.encoder = adapters.wrap(model.encoder, tuning, "CAUSAL_LM")
    model.eval()
    collate = Collator(answers.pad_token_id)

    def learnt(batches: list[list[int]]) -> tuple[float, list[torch.Tensor]]:
        shown = [collate([answers[place] for place in batch]) for batch in batches]
        items = torch.stack([model.items(batch)["answer"] for batch in shown]).sum()
        model.zero_grad()
        total = torch.tensor(0.0)
        for batch in shown:
            loss = model(**batch, items_answer=items)["loss"]
            loss.backward()
            total += loss.detach()
        gradients = [value.grad.clone() for value in model.parameters() if value.requires_grad]
        return float(total), gradients

    whole, gradients = learnt([[0, 1, 2, 3]])
    for batches in ([[0], [1], [2], [3]], [[0, 2], [1, 3]], [[3, 0], [2], [1]]):
        loss, others = learnt(batches)
        assert loss == pytest.approx(whole, abs=1e-5)
        for one, other in zip(gradients, others, strict=True):
            assert torch.allclose(one, other, atol=1e-5)


def test_the_loss_is_the_models_own(toy_chat_base: Path, answers: causal.Replies) -> None:
    model = causal.CausalModel(causal.load(toy_chat_base))
    batch = Collator(answers.pad_token_id)([answers[place] for place in range(4)])
    own = model.encoder(batch["input_ids"], batch["attention_mask"], labels=batch["labels_answer"]).loss.detach()
    assert torch.allclose(model(**batch)["loss"], own, atol=1e-6)
    sums = torch.stack([torch.from_numpy(one.logits) for one in causal.judged(model, answers, batch_tokens=64)])
    assert float(-sums[:, 0].sum() / sums[:, 2].sum()) == pytest.approx(float(own), abs=1e-5)


def test_what_comes_after_the_layers_is_not_frozen_with_the_embeddings(toy_generate: Toy, toy_chat_base: Path) -> None:
    model = causal.CausalModel(causal.load(toy_chat_base))
    weights.freeze(model, toy_generate(tuning={"freeze_layers": 1}).tuning)
    learns = {name for name, value in model.named_parameters() if value.requires_grad}
    assert "encoder.model.norm.weight" in learns
    assert "encoder.model.embed_tokens.weight" not in learns
    assert all("layers.1." in name for name in learns - {"encoder.model.norm.weight"})


# --- the road


def said(folder: Path, prompts: list[list[int]]) -> list[torch.Tensor]:
    """Logits of a stored model as transformers and peft read it by themselves."""
    import peft
    import transformers

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder)
    if (folder / "adapter").is_dir():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a deprecated name
            model = peft.PeftModel.from_pretrained(model, str(folder / "adapter"))
    model.eval()
    with torch.inference_mode():
        return [model(torch.tensor([ids])).logits[0, -len(ids) :] for ids in prompts]


@pytest.mark.parametrize("method", METHODS)
def test_a_stored_model_is_what_was_trained_and_what_others_read(
    toy_generate: Toy, toy_chat_base: Path, tmp_path: Path, method: str
) -> None:
    recipe = toy_generate(tuning=tuned(method))
    base = base_models.resolve(recipe.base)
    parts, _, _ = training.prepare(recipe, tmp_path)
    learned = Generation().learn(recipe, base, parts, 13, tmp_path / "run", training.Quiet())
    Generation().write(recipe, base, learned, tmp_path)
    prompts = [Chat(toy_chat_base).prompt(turns(prompt)) for prompt in PROMPTS]
    with torch.inference_mode():
        ours = [learned.model.encoder(torch.tensor([ids])).logits[0, -len(ids) :] for ids in prompts]
    assert all(map(torch.equal, ours, said(tmp_path / "model", prompts)))
    assert (tmp_path / "model" / "adapter").is_dir() == (method in ("prefix", "prompt", "p_tuning"))
    assert (learned.model.merge_difference is not None) == (method in ("lora", "adalora", "ia3"))


def test_a_fresh_process_gives_equal_logits(toy_generate: Toy, tmp_path: Path) -> None:
    folders = []
    for method in ("full", "lora", "prompt"):
        done = train(toy_generate(name=method, tuning=tuned(method)))
        assert Store().verify(done.version) == []
        folders.append(str(done.version.folder / "model"))
    prompts = [load("lora")._chat.prompt(turns(prompt)) for prompt in PROMPTS]  # type: ignore[attr-defined]
    torch.save(prompts, tmp_path / "prompts.pt")
    code = (
        "import sys, torch; from pathlib import Path; from tests.engine.test_generate import said\n"
        "prompts = torch.load('prompts.pt')\n"
        "torch.save([said(Path(folder), prompts) for folder in sys.argv[1:]], 'said.pt')"
    )
    environment = {**os.environ, "PYTHONPATH": str(packaged())}
    subprocess.run([sys.executable, "-c", code, *folders], check=True, capture_output=True, env=environment)
    for folder, theirs in zip(folders, torch.load(tmp_path / "said.pt"), strict=True):
        assert all(map(torch.equal, said(Path(folder), prompts), theirs))


def test_the_figures_tell_what_tuning_gained(toy_generate: Toy) -> None:
    figures = train(toy_generate(tuning=tuned("lora"))).figures.heads["answer"]
    assert next(iter(figures)) == "log_likelihood"
    assert figures["perplexity"].value == pytest.approx(math.exp(-figures["log_likelihood"].value))
    assert figures["perplexity"].high < figures["perplexity_before"].low
    assert 0 <= figures["token_accuracy"].value <= 1
    assert 0 <= figures["ended"].value <= 1
    assert figures["cut"].value == 0
    assert figures["merge_difference"].value < 1e-4


def test_answers_are_those_of_transformers_own_generation(toy_generate: Toy) -> None:
    import transformers

    done = train(toy_generate())
    generator = load("toy-chat")
    assert isinstance(generator, Generator)
    plain = transformers.AutoModelForCausalLM.from_pretrained(done.version.folder / "model")
    assert plain.generation_config.max_new_tokens == 8
    assert plain.generation_config.repetition_penalty == 1.1
    for prompt in PROMPTS:
        ids = torch.tensor([generator._chat.prompt(turns(prompt))])
        penalty = transformers.RepetitionPenaltyLogitsProcessor(1.1, prompt_ignore_length=ids.shape[1])
        theirs = plain.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            repetition_penalty=1.0,
            logits_processor=transformers.LogitsProcessorList([penalty]),
        )[0, ids.shape[1] :].tolist()
        answer = generator.answer(prompt)
        assert (answer.text, answer.tokens) == (generator._chat.text(theirs), len(theirs))
        assert answer.ended == (theirs[-1] == generator._chat.ends[0])
        assert "".join(generator.pieces(prompt)) == answer.text
        assert generator.answer([{"role": "user", "content": prompt}]) == answer


@pytest.mark.parametrize("method", ["full", "lora", "prefix", "prompt"])
def test_answers_written_together_are_those_written_alone(toy_generate: Toy, toy_chat_base: Path, method: str) -> None:
    encoder = causal.load(toy_chat_base)
    if method in adapters.PEFT:
        encoder = adapters.wrap(encoder, toy_generate(tuning=tuned(method)).tuning, "CAUSAL_LM").eval()
    chat = Chat(toy_chat_base)
    prompts = [chat.prompt(turns(prompt)) for prompt in (*PROMPTS, "Long " * 20)]
    together = causal.written(encoder, prompts, ends=chat.ends, limit=12, penalty=1.3)
    assert together == [causal.written(encoder, [ids], ends=chat.ends, limit=12, penalty=1.3)[0] for ids in prompts]
    # Without a cache, from the front each time.
    for ids, answer in zip(prompts, together, strict=True):
        for at, token in enumerate(answer):
            with torch.inference_mode():
                logits = encoder(torch.tensor([ids + answer[:at]]), use_cache=False).logits[0, -1]
            said = torch.zeros_like(logits, dtype=torch.bool)
            said[answer[:at]] = True
            logits = causal.less_likely(logits, said, 1.3)
            assert logits.max() - logits[token] < 1e-5


def test_what_an_answer_has_said_is_less_likely() -> None:
    logits, said = torch.tensor([[4.0, -2.0, 3.0]]), torch.tensor([[True, True, False]])
    assert causal.less_likely(logits, said, 2.0).tolist() == [[2.0, -4.0, 3.0]]
    assert causal.less_likely(logits, said, 1.0).equal(logits)


def test_a_model_learns_to_answer_and_to_stop(toy_generate: Toy) -> None:
    task = {"kind": "generate", "max_new_tokens": 24}
    done = train(toy_generate(task=task, tuning=tuned("full", epochs=12, average=0, early_stopping=0)))
    figures = done.figures.heads["answer"]
    assert figures["perplexity"].value < 3 < 100 < figures["perplexity_before"].value
    assert figures["ended"].value == 1
    answer = load("toy-chat").predict(["How does it sound? Profit fell"])[0]["answer"]
    assert answer.text.startswith("It sounds ")
    assert answer.ended


def test_a_killed_run_goes_on_from_its_checkpoint(
    toy_generate: Toy, toy_chat_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are tied: a checkpoint that kept them twice could not be written."""
    recipe = toy_generate(tuning=tuned("full", epochs=3, early_stopping=0))
    parts, _, _ = training.prepare(recipe, tmp_path)

    class Killed(Exception): ...

    class Watcher(training.Quiet):
        def step(self, done: int, total: int, note: str) -> None:
            if note.startswith("epoch 2"):
                raise Killed

    (whole,), _ = training.learn(recipe, parts, tmp_path / "whole", training.Quiet())
    with pytest.raises(Killed):
        training.learn(recipe, parts, tmp_path / "cut", Watcher())
    steps: list[int] = []
    again = training.Quiet()
    monkeypatch.setattr(again, "step", lambda done, total, note: steps.append(done), raising=False)
    (resumed,), _ = training.learn(recipe, parts, tmp_path / "cut", again)
    assert min(steps) > 2
    for name, value in whole.model.named_parameters():
        # Not to the bit: on a busy machine sums are split over the cores in other ways. A lost moment shows at 1e-2.
        assert torch.allclose(value, dict(resumed.model.named_parameters())[name], atol=1e-4)


def test_a_merge_that_changes_the_model_is_refused(
    toy_generate: Toy, toy_chat_base: Path, answers: causal.Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = causal.CausalModel(causal.load(toy_chat_base))
    model.encoder = adapters.wrap(model.encoder, toy_generate(tuning=tuned("lora")).tuning, "CAUSAL_LM")
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.normal_()
    monkeypatch.setattr(adapters, "merged", lambda encoder: encoder.unload())  # loses what was learnt
    with pytest.raises(KeelError, match="merging the adapter changed a logit"):
        _merge(model, answers)


def test_several_turns_train_and_answer(toy_generate: Toy, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for one in rows[::2]:
        first = {"role": "assistant", "content": one["answer"]}
        one["answer"] = [first, *turns("Is that so?", "It is.")]
    file.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    done = train(toy_generate())
    assert (done.rejected, sum(done.rows.values()) + done.dropped) == (0, 60)
    generator = load("toy-chat")
    assert isinstance(generator, Generator)
    assert generator.answer(turns("Profit fell", "It sounds bad.", "Is that so?")).tokens >= 1


# --- serving and refusals


@pytest.fixture
def generator(toy_generate: Toy) -> Generator:
    train(toy_generate())
    found = load("toy-chat")
    assert isinstance(found, Generator)
    return found


def test_the_command_line_answers_prompts(generator: Generator) -> None:
    done = CliRunner().invoke(app, ["predict", "toy-chat", *PROMPTS], catch_exceptions=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["text"] for one in found] == list(PROMPTS)
    assert {one["model"] for one in found} == {"toy-chat@1"}
    assert [one["answer"]["text"] for one in found] == [generator.answer(prompt).text for prompt in PROMPTS]


def test_draws_repeat_by_their_seed(generator: Generator) -> None:
    drawn = {generator.answer("Profit fell", temperature=2.0, seed=seed).text for seed in range(5)}
    assert len(drawn) > 1
    assert generator.answer("Profit", temperature=2.0, seed=1) == generator.answer("Profit", temperature=2.0, seed=1)


def test_what_cannot_be_answered_is_told(generator: Generator) -> None:
    with pytest.raises(InputError, match="over the 256 that toy-chat@1 can read; shorten it"):
        generator.answer("Profit fell " * 200)
    for bad in ([], [{"role": "assistant", "content": "Yes."}], [{"role": "user"}], "", [3], 3):
        with pytest.raises(InputError, match="prompt"):
            generator.answer(bad)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_new_tokens 0"):
        generator.answer("Profit", max_new_tokens=0)
    with pytest.raises(InputError, match="has no ONNX export"):
        load("toy-chat", backend="onnx")
    with pytest.raises(InputError, match="no logits of their own"):
        generator.probabilities(["Profit fell"])


def test_a_stored_model_is_tuned_on_unless_it_answers_through_virtual_tokens(toy_generate: Toy) -> None:
    train(toy_generate(tuning=tuned("lora")))
    again = train(toy_generate(name="again", base="store:toy-chat"))
    assert again.version.manifest()["parents"] == ["toy-chat@1"]
    train(toy_generate(name="prompted", tuning=tuned("prompt")))
    with pytest.raises(InputError, match="prompted@1: has learnt prompts or adapters beside its weights"):
        train(toy_generate(name="more", base="store:prompted"))


def test_the_base_learns_its_field_by_causal_language_modelling(toy_generate: Toy, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("Profit fell at Halden\n利润下降\nSales rose in May\n", encoding="utf-8")
    adapt = {"texts": "texts.txt", "method": "clm", "epochs": 30, "learning_rate": 1e-2}
    still = tuned("lora", learning_rate=1e-9)
    plain, adapted = train(toy_generate(tuning=still)), train(toy_generate(name="a", tuning={**still, "adapt": adapt}))
    assert "texts.txt" in adapted.version.manifest()["data_sha256"]
    text = Row("What?", {"answer": "Profit fell at Halden"}, None, "rows:1")
    before, after = (load(str(done.version)).judged([text])["answer"][0].logits[0] for done in (plain, adapted))
    assert after > before + 1


def test_ways_of_tuning_a_chat_model_are_compared(toy_generate: Toy) -> None:
    recipes = [toy_generate(name=method, tuning=tuned(method)) for method in ("lora", "prompt")]
    found = compare(recipes, seeds=1)
    first, second = (one.quality[0] for one in found.candidates)
    assert first.metric == "log_likelihood"
    assert second.difference
    assert second.difference.value == pytest.approx(second.figure.value - first.figure.value)
    stored = Store(resources.home() / "comparisons").get("lora-seed-13").manifest()["metrics"]["heads"]["answer"]
    assert first.figure.value == pytest.approx(stored["log_likelihood"]["value"], abs=1e-4)
    with pytest.raises(InputError, match="give recipes of one base"):
        compare([recipes[0], recipes[1].model_copy(update={"base": "smollm2"})], seeds=1)


def test_a_base_that_cannot_do_the_task_is_refused_before_the_data_are_read(
    toy_generate: Toy, toy_recipe: Callable[..., Recipe], toy_base: Path, toy_chat_base: Path
) -> None:
    Path("broken.jsonl").write_text("not read", encoding="utf-8")
    nowhere = {"train": "broken.jsonl"}
    with pytest.raises(RecipeError, match="kind encoder; task generate needs one of the kind causal, such as smollm2"):
        train(toy_generate(base=str(toy_base), data=nowhere))
    with pytest.raises(
        RecipeError, match="task classify needs one of the kind encoder, such as minilm or multilingual"
    ):
        train(toy_recipe(base=str(toy_chat_base), data=nowhere))
    with pytest.raises(RecipeError, match="minilm is a model of the kind encoder"):
        train(toy_generate(base="minilm", data=nowhere))
    task.check_base(toy_generate(base="a/hub-id"), None)


def test_a_base_without_a_chat_template_is_refused(toy_generate: Toy, toy_chat_base: Path, tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(toy_chat_base, tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(RecipeError, match="has no chat template; take a chat model"):
        train(toy_generate(base=str(folder)))


def test_a_recipe_says_what_generate_cannot_do(toy_generate: Toy) -> None:
    assert toy_generate().export.format == "none"
    stored = Recipe.parse(toy_generate().model_dump(exclude_none=True))
    assert stored.digest() == toy_generate().digest()
    for sections, message in (
        ({"export": {"format": "onnx"}}, "task generate is not exported; set export.format: none"),
        ({"tuning": {"method": "zero_shot"}}, "cannot tune task generate"),
        ({"tuning": {"label_smoothing": 0.1}}, "tuning.label_smoothing is about heads, and task generate has none"),
        ({"tuning": {"method": "prompt", "dropout": 0.2}}, "tuning.dropout is about heads"),
        ({"tuning": {"adapt": {"texts": "texts.txt"}}}, "adapt.method simcse cannot train .*; it can: clm"),
    ):
        with pytest.raises(RecipeError, match=message):
            toy_generate(**sections)
    recipe = toy_generate()
    with pytest.raises(ExportError, match="task generate is not exported"):
        Generation().export(recipe, None, None, Parts([], [], [], []), Path())  # type: ignore[arg-type]


def test_the_bench_recipe_reads() -> None:
    recipe = Recipe.load(packaged() / "recipes" / "bench" / "magento_articles.yaml")
    assert (recipe.task.kind, recipe.base, recipe.tuning.method) == ("generate", "smollm2", "lora")
