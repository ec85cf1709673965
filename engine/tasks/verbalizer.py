"""Verbalizer: each label has a word, and a causal chat model's logits of the words' first tokens are the labels'."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data.rows import Row
from engine.errors import RecipeError
from engine.recipe import Choose
from engine.tasks import kinds
from engine.tasks.causal import load as load_causal
from engine.tasks.chat import Chat
from engine.tasks.encoding import MISSING, Rows
from engine.tasks.heads import HeadSpec

FILE = "verbalizer.json"
EMPTY = "N/A"
"""A text that says nothing: what the model answers to it is its leaning towards some words."""


@dataclass(frozen=True)
class Prompt:
    """How a text is asked about, and the token of each label. Written beside the model.

    Raises:
        RecipeError: two labels' words begin with the same token.
    """

    chat: Chat
    question: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, task: Choose, base: Path) -> Prompt:
        words = tuple(task.words.get(label, label.replace("_", " ")) for label in task.labels)
        return cls(Chat(base), task.question.replace("{labels}", ", ".join(words)), words)

    @classmethod
    def read(cls, folder: Path) -> Prompt:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return cls(Chat(folder), values["question"], tuple(values["words"]))

    def write(self, folder: Path, leaning: Sequence[float]) -> None:
        values = {"question": self.question, "words": self.words, "leaning": list(leaning)}
        (folder / FILE).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def tokens(self) -> list[int]:
        found = [self.chat.answer(word)[0] for word in self.words]
        for number, token in enumerate(found):
            if token in found[:number]:
                first = self.words[found.index(token)]
                raise RecipeError(
                    f"task.words: '{first}' and '{self.words[number]}' begin with the same token of the base; "
                    "give one of their labels another word"
                )
        return found

    def ids(self, text: str, max_length: int) -> list[int]:
        """The text and the question as a turn of the user; a text that is too long loses its end."""
        found = self._ids(text)
        while len(found) > max_length and text:
            text = text[: len(text) - max(1, len(text) * (len(found) - max_length) // (2 * len(found)))]
            found = self._ids(text)
        return found

    def _ids(self, text: str) -> list[int]:
        return self.chat.prompt([{"role": "user", "content": f"{text}\n\n{self.question}"}])


class VerbalizedModel(nn.Module):
    """Causal model -> logits of the labels' tokens after the prompt, less the model's leaning.

    Args:
        encoder: any transformers causal model, an adapter round it or not.
        head: the one head.
        tokens: first token of each label's word.
    """

    tokens: Tensor
    leaning: Tensor

    def __init__(self, encoder: Any, head: HeadSpec, tokens: Sequence[int]) -> None:
        super().__init__()
        self.encoder = encoder
        self.specs = (head,)
        self.register_buffer("tokens", torch.tensor(list(tokens)), persistent=False)
        self.register_buffer("leaning", torch.zeros(len(tokens)), persistent=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **targets: Tensor) -> dict[str, Tensor]:
        """`logits_label`, shape (rows, labels); with `labels_label`, shape (rows,), the `loss` too."""
        last = attention_mask.sum(1) - 1
        columns, place = torch.unique(last, return_inverse=True)
        # Counted from the end: an adapter may put virtual tokens before the text.
        found = self.encoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            use_cache=False,
            logits_to_keep=columns - attention_mask.shape[1],
        ).logits
        name = self.specs[0].name
        logits = found[torch.arange(len(place), device=place.device), place][:, self.tokens].float() - self.leaning
        outputs = {f"logits_{name}": logits}
        if targets:
            labels = targets[f"labels_{name}"]
            items = targets.get(f"items_{name}", (labels != MISSING).sum().float())
            total = F.cross_entropy(logits, labels, reduction="sum", ignore_index=MISSING)
            outputs["loss"] = total / items.clamp(min=1e-9)
        return outputs

    def items(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Labelled rows of a batch: what its summed loss is divided by."""
        name = self.specs[0].name
        return {name: (targets[f"labels_{name}"] != MISSING).sum().float()}

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """What a checkpoint keeps: the weights that learn, one used in two places once."""
        return {name: value.detach() for name, value in self.named_parameters() if value.requires_grad}

    @torch.inference_mode()
    def lean(self, prompt: Prompt, max_length: int) -> None:
        """Take from every answer what the model answers to a text that says nothing (Zhao et al. 2021, arXiv
        2102.09690)."""
        self.eval()
        self.leaning.zero_()
        ids = torch.tensor([prompt.ids(EMPTY, max_length)], device=self.leaning.device)
        self.leaning.copy_(self(ids, torch.ones_like(ids))[f"logits_{self.specs[0].name}"][0])


def encoded(rows: Sequence[Row], prompt: Prompt, head: HeadSpec, max_length: int) -> Rows:
    """Rows as Trainer reads them."""
    pad = prompt.chat.tokenizer.pad_token_id
    found = Rows([prompt.ids(row.text, max_length) for row in rows], {}, prompt.chat.ends[0] if pad is None else pad)
    present = set(kinds.answered(head, rows))
    place = {label: number for number, label in enumerate(head.labels)}
    labels = [place[row.labels[head.name]] if number in present else MISSING for number, row in enumerate(rows)]
    found.targets[head.name] = torch.tensor(labels).numpy()
    return found


def load(folder: Path, head: HeadSpec) -> VerbalizedModel:
    """The stored model, ready to answer."""
    model = VerbalizedModel(load_causal(folder), head, Prompt.read(folder).tokens())
    leaning = json.loads((folder / FILE).read_text(encoding="utf-8"))["leaning"]
    model.leaning.copy_(torch.tensor(leaning))
    return model.eval()
