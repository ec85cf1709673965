"""Toy models and data: small enough that the real road runs in seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.recipe import Recipe
from engine.resources import packaged

pytest_plugins = ["tests.services", "tests.sharing"]

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Toy models are too small to share out: beside a busy process two threads mostly wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PIECES = Path(__file__).parent / "pieces.txt"
"""Word pieces of the headlines' titles. They are kept, for training breaks ties by the order of a hash map: toys would
differ from run to run, and tests of them fail now and then."""


@pytest.fixture(scope="session")
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KEEL_HOME that the whole session shares: exports of base models are made once."""
    return tmp_path_factory.mktemp("keel-home")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a store of its own and works in a folder of its own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("KEEL_HOME", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # a test that asks a hub must fail, not wait
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(scope="session")
def headlines() -> list[dict[str, Any]]:
    path = packaged() / "data" / "finance" / "headlines.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def toy_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer BERT of width 32 with random weights, and a word-piece tokenizer of 2,000 pieces."""
    import tokenizers
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("toy-base")
    tokenizer = tokenizers.BertWordPieceTokenizer(str(PIECES))
    pieces = tokenizer.get_vocab()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(
        ("[SEP]", pieces["[SEP]"]), ("[CLS]", pieces["[CLS]"])
    )
    fast: Any = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer,
        unk_token="[UNK]", sep_token="[SEP]", pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]",
    )  # fmt: skip
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        pad_token_id=fast.pad_token_id,
    )
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture
def toy_recipe(toy_base: Path, tmp_path: Path, headlines: list[dict[str, Any]]) -> Callable[..., Recipe]:
    """A two-headed recipe over 240 real headlines on the toy base; keyword arguments replace sections."""
    file = tmp_path / "rows.jsonl"
    chosen = [item for item in headlines if item["lang"] == "en"][::15][:240]
    file.write_text("".join(json.dumps(item) + "\n" for item in chosen), encoding="utf-8")
    topics = sorted({topic for item in headlines for topic in item["topics"]})

    def make(**sections: Any) -> Recipe:
        values: dict[str, Any] = {
            "name": "toy",
            "base": str(toy_base),
            "task": {
                "kind": "classify",
                "heads": {
                    "sentiment": {"labels": ["negative", "neutral", "positive"]},
                    "topics": {"labels": topics, "multi_label": True},
                },
            },
            "data": {"train": str(file), "columns": {"text": "title"}, "split": {"group": "story"}},
            "tuning": {"epochs": 1, "batch_tokens": 512, "max_length": 48},
            "export": {"format": "none"},
            "track": [],
        }
        return Recipe.parse({**values, **sections})

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file in the test's folder."""

    def put(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return put
