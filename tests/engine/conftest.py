"""Models for the engine's tests alone."""

from __future__ import annotations

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
