"""Causal: a chat model under the loss of its answers, and the words it goes on with.

The loss is a sum over the tokens of the answers divided by their number in the whole step, so that padding, bucketing,
accumulation and several processes all give the gradients of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data.batches import TokenBudgetSampler
from engine.data.rows import Row
from engine.tasks.chat import Chat
from engine.tasks.encoding import MISSING, Collator, Rows
from engine.tasks.kinds import Output
from engine.tasks.reply import HEAD, messages

LABELS = f"labels_{HEAD}"
Pick = Callable[[Tensor], Tensor]
"""Logits (rows, vocabulary) -> the next token of each row (rows,)."""


class CausalModel(nn.Module):
    """A causal model that learns its answers.

    Attributes:
        merge_difference: the most by which merging an adapter changed a logit; None where nothing was merged.

    Args:
        encoder: any transformers causal model, an adapter round it or not; it has the name by which tuning knows a
            pretrained model.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.merge_difference: float | None = None

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **targets: Tensor) -> dict[str, Tensor]:
        """The `loss`.

        Args:
            targets: `labels_answer`, shape (rows, tokens), MISSING where a token is no answer; `items_answer`: answers'
                tokens in the whole step (without it, in this batch).
        """
        logits, truth, _ = self.said(input_ids, attention_mask, targets[LABELS])
        items = targets.get(f"items_{HEAD}", torch.tensor(float(len(truth))))
        return {"loss": F.cross_entropy(logits, truth, reduction="sum") / items.clamp(min=1e-9)}

    def said(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits before each token of the answers, shape (answer tokens, vocabulary); the tokens; and their rows.

        The head over the vocabulary is a fifth of a small model's weights, so it only reads what is asked.
        """
        wanted = labels[:, 1:] != MISSING
        columns = wanted.any(0).nonzero().flatten()
        # Counted from the end: an adapter may put virtual tokens before the text.
        places = columns - labels.shape[1]
        logits = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False, logits_to_keep=places
        ).logits
        chosen = wanted[:, columns]
        # In fp32 whatever the products' precision: a softmax over rounded logits loses small differences.
        return logits[chosen].float(), labels[:, 1:][:, columns][chosen], chosen.nonzero()[:, 0]

    def items(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Answers' tokens of a batch: what its summed loss is divided by."""
        return {HEAD: (targets[LABELS][:, 1:] != MISSING).sum().float()}

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """What a checkpoint keeps: the weights that learn, one used in two places once."""
        return {name: value.detach() for name, value in self.named_parameters() if value.requires_grad}


@dataclass
class Replies(Rows):
    """Tokenised conversations with the labels of their answers."""

    owners: list[int] = field(default_factory=list)
    """Number of the row that each example is of; a row without room for an answer has none."""
    cut: int = 0
    """Answers that were longer than there was room."""

    @property
    def answered(self) -> list[int]:
        """Numbers of the rows that have an example."""
        return sorted(set(self.owners))


def encoded(rows: Sequence[Row], chat: Chat, max_length: int) -> Replies:
    """Rows as Trainer reads them."""
    pad = chat.tokenizer.pad_token_id
    found = Replies([], {HEAD: []}, chat.ends[0] if pad is None else pad)
    for number, row in enumerate(rows):
        for example in chat.examples(messages(row), max_length):
            found.input_ids.append(example.input_ids)
            # By place and not by id: the padding token often is the one that ends an answer.
            found.targets[HEAD].append(np.where(example.answers, example.input_ids, MISSING))
            found.owners.append(number)
            found.cut += example.cut
    return found


def judged(model: CausalModel, rows: Replies, *, batch_tokens: int = 2048) -> list[Output]:
    """What `reply.Reply` reads of each row in `rows.answered`. Computed in fp32."""
    model.eval()
    device = next(model.parameters()).device
    place = {row: index for index, row in enumerate(rows.answered)}
    sums = np.zeros((len(place), 3))
    collate = Collator(rows.pad_token_id)
    with torch.inference_mode():
        for batch in TokenBudgetSampler(rows.lengths, batch_tokens, seed=None):
            inputs = {name: value.to(device) for name, value in collate([rows[row] for row in batch]).items()}
            logits, truth, lines = model.said(inputs["input_ids"], inputs["attention_mask"], inputs[LABELS])
            likelihood = -F.cross_entropy(logits, truth, reduction="none")
            each = torch.stack([likelihood, logits.argmax(-1) == truth, torch.ones_like(likelihood)], 1)
            np.add.at(sums, [place[rows.owners[batch[line]]] for line in lines.tolist()], each.cpu().double().numpy())
    return [Output(row) for row in sums]


def greedy(logits: Tensor) -> Tensor:
    return logits.argmax(-1)


class Drawn:
    """Tokens drawn as the model finds them likely, after its logits are divided by `temperature`."""

    def __init__(self, temperature: float, seed: int | None) -> None:
        self._temperature = temperature
        self._random = torch.Generator()
        if seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(seed)

    def __call__(self, logits: Tensor) -> Tensor:
        shares = (logits.double().cpu() / self._temperature).softmax(-1)
        return torch.multinomial(shares, 1, generator=self._random).flatten().to(logits.device)


def bare(encoder: Any) -> Any:
    """The transformers model inside an adapter's wrapping; LoRA's layers stay in place."""
    return encoder.get_base_model() if hasattr(encoder, "get_base_model") else encoder


def less_likely(logits: Tensor, said: Tensor, penalty: float) -> Tensor:
    """Logits in which the tokens that an answer has said are `penalty` times less so (Keskar et al. 2019,
    arXiv 1909.05858). Its prompt's words stay free: an answer that quotes them is a good one.

    Args:
        logits: shape (rows, vocabulary).
        said: of the same shape; the tokens said.
    """
    return torch.where(said, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


@torch.inference_mode()
def continued(
    encoder: Any, prompts: Sequence[Sequence[int]], *, limit: int, penalty: float, pick: Pick = greedy
) -> Iterator[Tensor]:
    """The next token of each prompt, shape (prompts,), `limit` times. A loop of ours and not `generate`: it gives a
    token as soon as it is there, and places virtual tokens as training did.

    Args:
        encoder: as of a `CausalModel`.
        penalty: as of `less_likely`; 1 is none.
    """
    device = next(encoder.parameters()).device
    batch = Collator(0)([{"input_ids": list(ids)} for ids in prompts])
    mask = batch["attention_mask"].to(device)
    lengths = mask.sum(1)
    ids, last = batch["input_ids"].to(device), lengths - mask.shape[1] - 1
    out = encoder(input_ids=ids, attention_mask=mask, use_cache=True, logits_to_keep=last)
    logits = out.logits.diagonal().T
    core = bare(encoder)  # virtual tokens are in the cache by now
    virtual = out.past_key_values.get_seq_length() - mask.shape[1]
    mask = F.pad(mask, (virtual, 0), value=1)
    said = torch.zeros_like(logits, dtype=torch.bool)
    for step in range(limit):
        token = pick(less_likely(logits.float(), said, penalty))
        said.scatter_(1, token[:, None], True)
        yield token
        if step + 1 == limit:
            return
        mask = F.pad(mask, (0, 1), value=1)
        # Padding lies between a short prompt and its new tokens: their places are counted without it.
        places = {"position_ids": (virtual + lengths + step)[:, None]} if len(mask) > 1 else {}
        out = core(
            input_ids=token[:, None], attention_mask=mask, past_key_values=out.past_key_values, use_cache=True, **places
        )
        logits = out.logits[:, -1]


def written(
    encoder: Any, prompts: Sequence[Sequence[int]], *, ends: Sequence[int], limit: int, penalty: float
) -> list[list[int]]:
    """Greedy answers of at most `limit` tokens, each with the token that ended it where one did."""
    found: list[list[int]] = [[] for _ in prompts]
    unfinished = list(range(len(prompts)))
    for tokens in continued(encoder, prompts, limit=limit, penalty=penalty):
        for row in unfinished:
            found[row].append(int(tokens[row]))
        unfinished = [row for row in unfinished if found[row][-1] not in ends]
        if not unfinished:
            break
    return found


def load(folder: Path) -> Any:
    """The causal model in a Hugging Face folder, in float32, with the adapter that may lie beside it."""
    import transformers

    from engine.tuning import adapters

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # its notes and bars would break ours
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return adapters.with_adapter(model, folder).eval()
