"""Vocabulary trimming: fewer pieces, the same reading of every text whose pieces stayed, and no new <unk>."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from engine import Recipe, load, train
from engine.base_models import resolve
from engine.errors import InputError
from engine.export import vocabulary
from engine.store import Store

PREFIX = "query: "
Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def unigram_base(tmp_path_factory: pytest.TempPathFactory, headlines: list[dict[str, Any]]) -> Path:
    """A one-layer BERT of width 16 whose Unigram tokenizer learnt English and Chinese headlines, <mask> at its end."""
    import tokenizers
    import torch
    import transformers

    inner = Tokenizer(tokenizers.models.Unigram())
    inner.normalizer = tokenizers.normalizers.NFKC()
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = tokenizers.trainers.UnigramTrainer(vocab_size=2500, special_tokens=special, unk_token="<unk>")
    inner.train_from_iterator([item["title"] for item in headlines], trainer)
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        "<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        cls_token="<s>", sep_token="</s>", mask_token="<mask>",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("unigram-base")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    # Some more rows than pieces, as the real multilingual base has.
    config = transformers.BertConfig(
        vocab_size=len(fast) + 5, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=128, pad_token_id=1,
    )  # fmt: skip
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def small_scripts() -> Iterator[None]:
    """No script of a toy vocabulary is small enough to be kept whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "WHOLE", 0)
        yield


@pytest.fixture(scope="module", params=["unigram", "wordpiece"])
def trimmed(
    request: pytest.FixtureRequest, unigram_base: Path, toy_base: Path, small_scripts: None,
    headlines: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory,
) -> Pair:  # fmt: skip
    """A base, and what is left of it for sixty headlines."""
    base = unigram_base if request.param == "unigram" else toy_base
    to = tmp_path_factory.mktemp("trimmed") / "small"
    texts = [item["title"] for item in headlines[::70]]
    vocabulary.trim(base, texts, to, prefixes=(PREFIX, "passage: "), english=False, short=1)
    return base, to


def tokenizers_of(pair: Pair) -> tuple[Tokenizer, Tokenizer]:
    read = [Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in pair]
    return read[0], read[1]


def test_pieces_rows_and_ids_agree(trimmed: Pair) -> None:
    _, small = trimmed
    before, after = tokenizers_of(trimmed)
    assert 100 < after.get_vocab_size() < 0.9 * before.get_vocab_size()
    assert resolve(str(small)).prefix == PREFIX
    config = json.loads((small / "config.json").read_text())
    assert config["vocab_size"] == after.get_vocab_size()
    old, new = (embeddings(folder) for folder in trimmed)
    assert new.shape == (after.get_vocab_size(), old.shape[1])
    for piece, number in after.get_vocab().items():
        assert (new[number] == old[before.token_to_id(piece)]).all()
    for name in ("[PAD]", "<pad>"):
        if after.token_to_id(name) is not None:
            assert config["pad_token_id"] == after.token_to_id(name)


def embeddings(folder: Path) -> np.ndarray[Any, Any]:
    from safetensors.numpy import load_file

    return np.asarray(load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"])


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_text_is_read_as_before_where_its_pieces_stayed_and_never_gets_a_new_unk(
    trimmed: Pair, headlines: list[dict[str, Any]], data: st.DataObject
) -> None:
    before, after = tokenizers_of(trimmed)
    piece = st.one_of(
        st.sampled_from(headlines).map(lambda item: str(item["title"])),
        st.text(max_size=12),
        st.text("profit losUSD12.5%利润增长银行，。 éß", max_size=20),
    )
    text = " ".join(data.draw(st.lists(piece, max_size=3))).encode("utf-8", "replace").decode()
    old, new = before.encode(text), after.encode(text)
    kept = after.get_vocab()
    if all(token in kept for token in old.tokens):
        assert new.tokens == old.tokens
        assert new.offsets == old.offsets
    unknown = "[UNK]" if "[UNK]" in kept else "<unk>"
    assert new.tokens.count(unknown) <= old.tokens.count(unknown)


def test_vectors_are_the_same_where_the_pieces_are(trimmed: Pair, headlines: list[dict[str, Any]]) -> None:
    import torch
    import transformers

    text = headlines[0]["title"]  # one of those that were looked at
    vectors = []
    for folder in trimmed:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
        with torch.no_grad():
            vectors.append(model(**tokenizer(text, return_tensors="pt")).last_hidden_state)
    assert torch.equal(*vectors)


def test_english_words_and_short_pieces_can_be_asked_for(
    unigram_base: Path, small_scripts: None, headlines: list[dict[str, Any]]
) -> None:
    texts = [item["title"] for item in headlines[::70]]
    few = vocabulary.kept(unigram_base, texts, english=False, short=1)
    assert set(few) < set(vocabulary.kept(unigram_base, texts, english=False, short=3))
    assert set(few) < set(vocabulary.kept(unigram_base, texts, english=True, short=1))
    chinese = ["银行利润增长"]
    assert vocabulary.kept(unigram_base, chinese, english=True, short=1) == vocabulary.kept(
        unigram_base, chinese, english=False, short=1
    )


def test_what_cannot_be_trimmed_is_refused_and_nothing_is_left_behind(unigram_base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs texts"):
        vocabulary.trim(unigram_base, [], tmp_path / "small")
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="is there already"):
        vocabulary.trim(unigram_base, ["text"], tmp_path / "there")
    bpe = tmp_path / "bpe"
    bpe.mkdir()
    (bpe / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE"}}))
    with pytest.raises(InputError, match="its tokenizer is BPE"):
        vocabulary.trim(bpe, ["text"], tmp_path / "small")
    sick = tmp_path / "sick"
    sick.mkdir()
    for path in unigram_base.iterdir():
        (sick / path.name).write_bytes(path.read_bytes())
    config = json.loads((sick / "config.json").read_text())
    (sick / "config.json").write_text(json.dumps({**config, "vocab_size": 7}))
    with pytest.raises(InputError, match="no embeddings of 7 rows"):
        vocabulary.trim(sick, ["text"], tmp_path / "small")
    assert {path.name for path in tmp_path.iterdir()} == {"there", "bpe", "sick"}


def test_a_recipe_tunes_a_trimmed_base_with_its_prefix(trimmed: Pair, toy_recipe: Callable[..., Recipe]) -> None:
    train(toy_recipe(base=str(trimmed[1])))
    assert load("toy").spec.prefix == PREFIX


def test_a_damaged_note_of_prefixes_is_an_error_with_its_file(trimmed: Pair, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text((trimmed[1] / "config.json").read_text())
    (folder / "keel.json").write_text("[")
    with pytest.raises(InputError, match=r"keel.json: not a JSON object"):
        resolve(str(folder))


def test_a_stored_model_becomes_a_smaller_version_that_answers_alike(
    unigram_base: Path, small_scripts: None, toy_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine import speed
    from engine.export.derived import derive

    monkeypatch.setattr(speed, "SINGLE", 3)
    old = train(toy_recipe(base=str(unigram_base))).version
    derived = derive(old, lambda source, place: vocabulary.change(source, place, [], english=False, short=1))
    assert derived.version is not None
    manifest = derived.version.manifest()
    assert manifest["parents"] == ["toy@1"]
    assert manifest["derived"]["pieces"]["after"] < manifest["derived"]["pieces"]["before"]
    assert Store().get("toy").number == 1  # the champion stays
    assert Store().verify(derived.version) == []
    assert derived.after.parameters < derived.before.parameters
    assert derived.smaller > 0
    texts = [row["title"] for row in map(json.loads, Path("rows.jsonl").read_text().splitlines())][:40]
    one, two = (load(f"toy@{number}").logits(texts)["sentiment"] for number in (1, 2))
    same = np.abs(one - two).max(1) < 1e-5
    assert same.mean() > 0.5  # most were among the train rows, whose pieces all stayed
