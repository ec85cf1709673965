"""Adaptation: the encoder goes on learning from unlabelled texts of the field before it is tuned.

SimCSE (Gao et al. 2021, arXiv 2104.08821): a text read twice with other dropout must give near vectors. TSDAE (Wang et
al. 2021, arXiv 2104.06979): a text must be told again from the vector of its damaged form. Masked language modelling
(Devlin et al. 2019) where the base still has its head; for a causal model, the next word.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from engine import resources
from engine.data import sources
from engine.data.rows import BadRow
from engine.errors import DataError, RecipeError
from engine.recipe import Adapt, Recipe
from engine.tasks.encoder import TextEncoder
from engine.tasks.encoding import Rows
from engine.tuning.objective import share
from engine.tuning.trainer import fit

SCALE = 20.0
DELETED = 0.6
"""Share of the words that TSDAE's damage takes away."""
MASKED = 0.15


def adapt(recipe: Recipe, model: Any, base: Path, tokenizer: Any, *, seed: int, folder: Path, watcher: Any) -> None:
    """Train `model.encoder`, in place, on the recipe's unlabelled texts.

    Raises:
        DataError: there are no texts.
        RecipeError: the base cannot do the method.
    """
    settings = recipe.tuning.adapt
    assert settings is not None
    found = texts(settings.texts, recipe.data.text_column)
    watcher.stage(f"adapting {recipe.base} to {len(found):,} unlabelled texts by {settings.method}")
    ends = [tokenizer.eos_token_id] if settings.method == "clm" else []  # an encoder's tokenizer closes texts itself
    ids = tokenizer(found, truncation=True, max_length=recipe.tuning.max_length - len(ends))["input_ids"]
    ids = [[*one, *ends] for one in ids]
    pupil = _pupil(settings, model, base, tokenizer)
    changes: dict[str, Any] = {
        "epochs": settings.epochs, "learning_rate": settings.learning_rate, "early_stopping": 0, "layer_decay": 1.0,
        "method": "full", "rank": 8, "virtual_tokens": 16, "freeze_layers": None, "gradual_unfreezing": False,
    }  # fmt: skip
    if settings.method == "mlm":  # its head is pretrained like the rest; TSDAE's decoder is new
        changes["head_learning_rate"] = settings.learning_rate
    tuning = recipe.tuning.model_copy(update=changes)
    rows = Rows(ids, {"text": list(range(len(ids)))}, tokenizer.pad_token_id or 0)
    fit(pupil, rows, tuning, seed=seed, folder=folder / "adapt", progress=watcher.step)
    transformers.set_seed(seed)  # a run that goes on from here draws what an uncut one drew


def texts(files: Sequence[str], column: str) -> list[str]:
    """Texts of the files: lines of .txt, the column of the others; rows without a usable text are left out.

    Raises:
        DataError: no text is left.
    """
    found: list[str] = []
    for name in files:
        path = resources.find(name, kind="text file")
        if path.suffix == ".txt":
            found += [line.strip() for line in resources.text(name).splitlines() if line.strip()]
            continue
        for _, values in sources.records(path, name):
            if isinstance(values, BadRow):
                continue
            try:
                found.append(sources.check_text(values.get(column), column))
            except BadRow:
                continue
    if not found:
        raise DataError(f"tuning.adapt.texts: no text in {', '.join(files)}; give .txt, or rows with '{column}'")
    return list(dict.fromkeys(found))


def _pupil(settings: Adapt, model: Any, base: Path, tokenizer: Any) -> nn.Module:
    match settings.method:
        case "simcse":
            return SimCse(model)
        case "tsdae":
            return Tsdae(model, tokenizer)
        case "mlm":
            return Mlm(model.encoder, base, tokenizer)
        case "clm":
            return Clm(model.encoder)


class _Pupil(nn.Module):
    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **targets: Tensor) -> dict[str, Tensor]:
        return {"loss": self.loss(input_ids, attention_mask) * share(targets)}

    def loss(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean over the batch."""
        raise TypeError("a pupil has a loss of its own")

    def items(self, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """None: these losses are means over a batch."""
        return {}


class SimCse(_Pupil):
    def __init__(self, model: TextEncoder) -> None:
        super().__init__(model.encoder)
        self._embed = model.embed

    def loss(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        left, right = (F.normalize(self._embed(input_ids, attention_mask).float(), dim=-1) for _ in range(2))
        return F.cross_entropy(left @ right.T * SCALE, torch.arange(len(left), device=left.device))


class Tsdae(_Pupil):
    """A one-layer decoder tells the text again from the vector alone; it is thrown away afterwards."""

    def __init__(self, model: TextEncoder, tokenizer: Any) -> None:
        super().__init__(model.encoder)
        self._embed, width = model.embed, model.width
        self.heads = nn.TransformerDecoderLayer(width, max(1, width // 64), 4 * width, batch_first=True)
        self._special = set(tokenizer.all_special_ids)

    def loss(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        special = torch.isin(input_ids, torch.tensor(sorted(self._special), device=input_ids.device))
        kept = attention_mask.bool() & (special | (torch.rand_like(input_ids, dtype=torch.float) >= DELETED))
        # The words left move together: where one stood among the deleted must not show.
        order = kept.long().argsort(dim=1, descending=True, stable=True)
        vector = self._embed(input_ids.gather(1, order), kept.gather(1, order).long()).unsqueeze(1)
        words = self.encoder.get_input_embeddings()
        steps = input_ids.shape[1] - 1
        ahead = nn.Transformer.generate_square_subsequent_mask(steps, device=input_ids.device)
        states = self.heads(words(input_ids[:, :-1]), vector, tgt_mask=ahead, tgt_is_causal=True)
        logits = (states @ words.weight.T).float()
        targets = input_ids[:, 1:].masked_fill(attention_mask[:, 1:] == 0, -100)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)


class Mlm(_Pupil):
    def __init__(self, encoder: Any, base: Path, tokenizer: Any) -> None:
        super().__init__(encoder)
        full, told = transformers.AutoModelForMaskedLM.from_pretrained(
            base, dtype=torch.float32, output_loading_info=True
        )
        missing = [name for name in told["missing_keys"] if "position_ids" not in name]
        if missing or tokenizer.mask_token_id is None:
            raise RecipeError("tuning.adapt.method mlm: the base has no language-modelling head; take simcse or tsdae")
        if not (hasattr(full, "cls") or hasattr(full, "lm_head")):
            raise RecipeError(
                "tuning.adapt.method mlm: the base names its head in a way of its own; take simcse or tsdae"
            )
        encoder_name = full.base_model_prefix
        setattr(full, encoder_name, nn.Identity())
        self.heads = full
        self._mask, self._words = tokenizer.mask_token_id, len(tokenizer)
        self._special = set(tokenizer.all_special_ids)

    def loss(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        special = torch.isin(input_ids, torch.tensor(sorted(self._special), device=input_ids.device))
        chosen = (torch.rand_like(input_ids, dtype=torch.float) < MASKED) & ~special & attention_mask.bool()
        draw = torch.rand_like(input_ids, dtype=torch.float)
        other = torch.randint(self._words, input_ids.shape, device=input_ids.device)
        shown = torch.where(chosen & (draw < 0.8), self._mask, torch.where(chosen & (draw > 0.9), other, input_ids))
        states = self.encoder(input_ids=shown, attention_mask=attention_mask).last_hidden_state
        head: Any = getattr(self.heads, "cls", None) or self.heads.lm_head
        logits = head(states[chosen]).float()
        return F.cross_entropy(logits, input_ids[chosen]) if bool(chosen.any()) else states.sum() * 0.0


class Clm(_Pupil):
    def loss(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        found = self.encoder(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits
        targets = input_ids[:, 1:].masked_fill(attention_mask[:, 1:] == 0, -100)
        return F.cross_entropy(found[:, :-1].flatten(0, 1).float(), targets.flatten(), ignore_index=-100)
