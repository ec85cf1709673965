"""Models for the engine's tests alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-layer T5 of width 16 with random weights, over thirty words."""
    import tokenizers
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("tiny-t5")
    words = [
        "<pad>",
        "</s>",
        "<unk>",
        *"profit sales bank rose fell on weak strong demand in the quarter 利 润".split(),
    ]
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    inner.post_processor = tokenizers.processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    fast: Any = transformers.PreTrainedTokenizerFast
    fast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(0)
    shape: dict[str, Any] = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = transformers.T5Config(vocab_size=len(words), decoder_start_token_id=0, **shape)  # type: ignore[call-arg]
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-layer Marian of width 16 with random weights and a sentencepiece model of 29 pieces."""
    import json

    import sentencepiece
    import transformers

    made, folder = tmp_path_factory.mktemp("pieces"), tmp_path_factory.mktemp("tiny-marian")
    texts = ["profit fell on weak demand", "sales rose in the quarter", "the bank lost money"]
    (made / "texts.txt").write_text("\n".join(texts * 20))
    sentencepiece.SentencePieceTrainer.train(
        input=str(made / "texts.txt"), model_prefix=str(made / "model"), vocab_size=29, minloglevel=2
    )
    pieces: Any = sentencepiece.SentencePieceProcessor(str(made / "model.model"))
    names = ["</s>", "<unk>", *(pieces.id_to_piece(number) for number in range(pieces.get_piece_size())), "<pad>"]
    vocabulary = {name: number for number, name in enumerate(dict.fromkeys(names))}
    (made / "vocab.json").write_text(json.dumps(vocabulary))
    spm = str(made / "model.model")
    tokenizer: Any = transformers.MarianTokenizer
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*sacremoses")
        tokenizer(source_spm=spm, target_spm=spm, vocab=str(made / "vocab.json")).save_pretrained(folder)
    layers: dict[str, Any] = {
        f"{side}_{what}": value
        for side in ("encoder", "decoder")
        for what, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))
    }
    pad = vocabulary["<pad>"]
    config = transformers.MarianConfig(
        vocab_size=len(vocabulary), d_model=16, pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=0, **layers
    )
    transformers.MarianMTModel(config).save_pretrained(folder)
    return folder


TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def toy_chat_base(tmp_path_factory: pytest.TempPathFactory, headlines: list[dict[str, Any]]) -> Path:
    """A two-layer Llama of width 32 with random weights, its head tied to its embedding, its padding the end token."""
    import tokenizers
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("toy-chat")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    learner = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|start|>", "<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([item["title"] for item in headlines], learner)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>", chat_template=TEMPLATE
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    transformers.utils.logging.disable_progress_bar()
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder
