"""Adapters: a few new weights learn and the pretrained ones stay.

LoRA, AdaLoRA and IA3 are merged into the weights when training ends, so that what is stored is a plain encoder. Prefix,
prompt, p-tuning and bottleneck adapters cannot be: they are stored beside the untouched encoder, in `adapter/`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import Tensor

from engine.base_models import ADAPTER as FOLDER
from engine.errors import RecipeError
from engine.recipe import Tuning
from engine.tuning import bottleneck
from engine.tuning.objective import Inputs, Objective, share

if TYPE_CHECKING:
    import peft

PEFT = frozenset({"lora", "adalora", "ia3", "prefix", "prompt", "p_tuning"})
MERGED = frozenset({"lora", "adalora", "ia3"})
ALPHA = 2
"""LoRA's scale over its rank: the update is alpha / rank x B A, and twice the rank is the usual choice."""
ORTHOGONAL = 0.5
"""Weight of AdaLoRA's penalty, the paper's and peft's."""


def wrap(model: Any, tuning: Tuning, task_type: str = "FEATURE_EXTRACTION") -> Any:
    """The encoder (or causal model) with the adapter of the recipe's method; only that learns."""
    if tuning.method == "adapter":
        return bottleneck.insert(model, tuning.rank)
    import peft

    with _quiet():
        return peft.get_peft_model(model, _config(model, tuning, task_type))


def merged(model: Any) -> Any:
    """The model with its adapter merged into the weights, where the method allows; else as it is."""
    import peft

    if isinstance(model, peft.PeftModel) and not model.active_peft_config.is_prompt_learning:
        with _quiet():
            return model.merge_and_unload()
    return model


def save_encoder(model: Any, folder: Path) -> None:
    """Write the plain model into `folder`, and an adapter that could not be merged into `folder/adapter`."""
    import peft

    if isinstance(model, peft.PeftModel):
        with _quiet():
            model.save_pretrained(str(folder / FOLDER))
        plain: Any = model.get_base_model()
        plain.save_pretrained(folder)
    elif bottleneck.is_inserted(model):
        bottleneck.save(model, folder / FOLDER)
        bottleneck.removed(model).save_pretrained(folder)
    else:
        model.save_pretrained(folder)


def with_adapter(model: Any, folder: Path) -> Any:
    """A stored plain model with the adapter that lies beside it, if there is one."""
    place = folder / FOLDER
    if bottleneck.is_stored(place):
        return bottleneck.load(model, place)
    if not place.is_dir():
        return model
    import peft

    with _quiet():
        return peft.PeftModel.from_pretrained(model, str(place))


class AdaLoraCallback(transformers.TrainerCallback):
    """AdaLoRA moves rank between layers as it learns (Zhang et al. 2023): it is told of every step."""

    KEPT = ("ipt", "exp_avg_ipt", "exp_avg_unc")
    """What the allocator remembers of the steps before: parameter -> importance."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        config = self._encoder.active_peft_config
        config.total_step = state.max_steps
        config.tinit, config.tfinal = state.max_steps // 10, state.max_steps // 3
        self._encoder.base_model.rankallocator.set_total_step(state.max_steps)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._encoder.base_model.update_and_allocate(state.global_step)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        allocator = self._encoder.base_model.rankallocator
        kept = {name: dict(getattr(allocator, name)) for name in self.KEPT}
        return {**kept, "rank_pattern": getattr(self._encoder.active_peft_config, "rank_pattern", None)}

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        allocator = self._encoder.base_model.rankallocator
        for name in self.KEPT:
            setattr(allocator, name, kept[name])
        self._encoder.active_peft_config.rank_pattern = kept["rank_pattern"]


def callbacks(model: Any, tuning: Tuning) -> list[AdaLoraCallback]:
    """What the method needs to be told during training."""
    return [AdaLoraCallback(model.encoder)] if tuning.method == "adalora" else []


def penalised(objective: Objective, tuning: Tuning) -> Objective:
    """The loss with the method's own penalty: AdaLoRA's two outer matrices are held orthogonal, by which a singular
    value says what it is worth (equation 4 of its paper; the mean over the matrices, as peft has it)."""
    if tuning.method != "adalora":
        return objective

    def loss(model: Any, inputs: Inputs) -> Tensor:
        squares = []
        for name, weight in model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                rows = weight.float() if "lora_A" in name else weight.float().T
                squares.append((rows @ rows.T - torch.eye(len(rows), device=rows.device)).norm())
        return objective(model, inputs) + ORTHOGONAL * share(inputs) * torch.stack(squares).mean()

    return loss


def _config(model: Any, tuning: Tuning, task_type: str) -> peft.PeftConfig:
    import peft

    match tuning.method:
        case "lora":
            return peft.LoraConfig(
                task_type=task_type, r=tuning.rank, lora_alpha=ALPHA * tuning.rank, lora_dropout=tuning.dropout,
                target_modules=list(_linear(model)),
            )  # fmt: skip
        case "adalora":
            return peft.AdaLoraConfig(
                task_type=task_type, init_r=tuning.rank + tuning.rank // 2, target_r=tuning.rank,
                lora_alpha=ALPHA * tuning.rank, lora_dropout=tuning.dropout, total_step=1000,
                target_modules=list(_linear(model)),
            )  # fmt: skip
        case "ia3":
            # Liu et al. 2022: keys, values and the inner activations of the feed-forward part are rescaled.
            chosen = [name for name in _linear(model) if _rescaled(name)]
            if not chosen:
                raise RecipeError("tuning.method ia3: the base names its layers in a way of its own; take lora")
            inner = [name for name in chosen if not any(part in name for part in ("key", "value", "k_proj", "v_proj"))]
            return peft.IA3Config(task_type=task_type, target_modules=chosen, feedforward_modules=inner)
        case "prefix":
            return peft.PrefixTuningConfig(task_type=task_type, num_virtual_tokens=tuning.virtual_tokens)
        case "prompt":
            return peft.PromptTuningConfig(task_type=task_type, num_virtual_tokens=tuning.virtual_tokens)
        case "p_tuning":
            return peft.PromptEncoderConfig(
                task_type=task_type, num_virtual_tokens=tuning.virtual_tokens, encoder_hidden_size=128
            )
    raise ValueError(tuning.method)


def _linear(model: Any) -> Iterator[str]:
    """Names of the linear layers inside the model's blocks."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D  # GPT-2's form of a linear layer

    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear | Conv1D) and any(part.isdigit() for part in name.split(".")):
            yield name


def _rescaled(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last in {"key", "value", "k_proj", "v_proj", "down_proj"} or (
        name.endswith("output.dense") and "attention" not in name
    )


class _quiet:
    """peft warns of what is meant here."""

    def __enter__(self) -> None:
        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("ignore")
        self._level = logging.getLogger("peft").level
        logging.getLogger("peft").setLevel(logging.ERROR)

    def __exit__(self, *fault: Any) -> None:
        logging.getLogger("peft").setLevel(self._level)
        self._caught.__exit__(*fault)
