"""Lower layers: what frozen layers say of a text is computed once and read again in every epoch, and every later run.

It is computed without dropout. A file of it is named by the hash of the frozen weights and of the token ids.
"""

from __future__ import annotations

import copy
import hashlib
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine import resources
from engine.data.batches import TokenBudgetSampler
from engine.tasks.encoder import EncoderModel
from engine.tasks.encoding import Collator, Rows

FAMILIES = frozenset({"bert", "roberta", "xlm-roberta", "electra"})
"""Encoders that are embeddings and then a plain list of layers."""


def remember(model: EncoderModel, rows: Rows, fixed: int, megabytes: int) -> bool:
    """Give `rows` the states that the lowest `fixed` layers of the model's encoder leave for the layers above.

    Args:
        megabytes: room on disk for all such files; the ones longest unread give way. Rows that need more than that get
            nothing.

    Returns:
        Whether the rows have them now.
    """
    width, tokens = model.width, sum(rows.lengths)
    if model.encoder.config.model_type not in FAMILIES or 4 * width * tokens > megabytes * 2**20:
        return False
    below, above = _cut(model.encoder, fixed)
    digest = hashlib.sha256(f"{fixed} {width}".encode())
    for name, value in below.state_dict().items():
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    for ids in rows.input_ids:
        digest.update(np.asarray(ids, dtype=np.int64).tobytes() + b";")
    path = resources.home() / "cache" / "layers" / f"{digest.hexdigest()}.f32"
    if path.exists():
        os.utime(path)
    else:
        _make_room(path.parent, megabytes * 2**20 - 4 * width * tokens)
        _write(path, below, rows, width)
    starts = np.concatenate([[0], np.cumsum(rows.lengths)])
    states = np.memmap(path, np.float32, "r", shape=(tokens, width))
    rows.states = [states[start:end] for start, end in pairwise(starts)]
    model.above = lambda given, mask: above(inputs_embeds=given, attention_mask=mask).last_hidden_state
    return True


def _cut(encoder: Any, fixed: int) -> tuple[nn.Module, nn.Module]:
    """The encoder up to a layer, and from there on given states; both of the same modules as the whole."""
    below, above = _shell(encoder), _shell(encoder)
    for part, layers in ((below, encoder.encoder.layer[:fixed]), (above, encoder.encoder.layer[fixed:])):
        part._modules["encoder"] = _shell(encoder.encoder)
        part.encoder._modules["layer"] = layers
    above._modules["embeddings"] = _Given()
    return below, above


def _shell(module: Any) -> Any:
    shell = copy.copy(module)
    shell._modules = dict(module._modules)
    return shell


class _Given(nn.Module):
    def forward(self, inputs_embeds: Tensor, **_: Any) -> Tensor:
        return inputs_embeds


def _write(path: Path, below: nn.Module, rows: Rows, width: int) -> None:
    below.eval()
    device = next(below.parameters()).device
    starts = np.concatenate([[0], np.cumsum(rows.lengths)])
    collate = Collator(rows.pad_token_id)
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        states: NDArray[np.float32] = np.memmap(temporary, np.float32, "w+", shape=(int(starts[-1]), width))
        with torch.inference_mode():
            for batch in TokenBudgetSampler(rows.lengths, 4096, seed=None):
                inputs = collate([{"input_ids": rows.input_ids[row]} for row in batch])
                found = below(**{name: value.to(device) for name, value in inputs.items()}).last_hidden_state.cpu()
                for row, value in zip(batch, found.numpy(), strict=True):
                    states[starts[row] : starts[row + 1]] = value[: rows.lengths[row]]
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _make_room(folder: Path, bytes_left: int) -> None:
    """Remove the files longest unread until the rest takes no more than `bytes_left`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(folder.glob("*.f32"), key=lambda path: path.stat().st_mtime)
    total = sum(path.stat().st_size for path in files)
    for path in files:
        if total <= bytes_left:
            return
        total -= path.stat().st_size
        path.unlink(missing_ok=True)
