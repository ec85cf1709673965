"""Vocabulary trimming: a smaller base for the languages in use, by leaving out the word pieces that they do not need.

Kept are the pieces of the texts given, all single characters, what holds no letter (numbers, punctuation, symbols),
short pieces of the texts' characters, every piece of a script that has few, and those of English words. Nothing
becomes <unk> that was not, and a text whose pieces were all kept is read as before: both follow from how Unigram takes
the likeliest of all ways to cut a text, and WordPiece the longest piece at each place.
"""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.base_models import SETTINGS, resolve
from engine.errors import InputError

if TYPE_CHECKING:
    from engine.export.derived import Change, Source

SHORT = 4
"""Characters of a short piece. Of `multilingual`'s headlines left aside, 59% kept their pieces with none, 63% with 2,
72% with 3 and 82% with 4 characters, at 39, 41, 47 and 56 thousand pieces."""
SCRIPT_SHARE = 0.01
"""Share of the texts' letters from which on a script counts as in use: a single name does not bring a script along."""
WHOLE = 20_000
"""A script with at most so many pieces is kept whole: Han has 17,000 and all are short. Latin has 110,000, for some
sixty languages."""
_MARKS = {"Unigram": "▁", "WordPiece": "##"}
_NOT_COPIED = ("*.bin", "*.h5", "*.model", "*.msgpack", "*.txt", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True)
class Trimmed:
    """A trimmed model beside the one it was made from, each figure (before, after)."""

    folder: Path
    pieces: tuple[int, int]
    parameters: tuple[int, int]
    megabytes: tuple[float, float]
    """Of the weights and the tokenizer on disk."""


def trim(
    base: Path,
    texts: Sequence[str],
    to: Path,
    *,
    prefixes: Sequence[str] = (),
    english: bool = True,
    short: int = SHORT,
) -> Trimmed:
    """Write a smaller form of the model in the Hugging Face folder `base` into the folder `to`.

    Args:
        texts: in the languages in use, the more the better; their pieces are all kept.
        prefixes: what the model expects before a text, and before the second of a pair.
        english: keep the pieces of the words of everyday English, if the texts have Latin letters.
        short: characters up to which pieces of the texts' characters are kept.

    Raises:
        InputError: the model's tokenizer is neither Unigram nor WordPiece, its weights are not in one file of
            safetensors, there are no texts, or `to` exists.
    """
    if not texts:
        raise InputError("vocabulary trimming needs texts in the languages in use; give files with some thousands")
    if to.exists():
        raise InputError(f"{to}: is there already; name a new folder, or remove it")
    tokenizer = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    if (kind := tokenizer["model"].get("type")) not in _MARKS:
        raise InputError(f"{base}: its tokenizer is {kind}; only Unigram and WordPiece vocabularies can be trimmed")
    if not (base / "model.safetensors").is_file():
        raise InputError(f"{base}: has no model.safetensors; save the model anew with transformers' save_pretrained")
    ids = kept(base, texts, prefixes=prefixes, english=english, short=short)
    number = {old: new for new, old in enumerate(ids)}
    before = len(_vocabulary(tokenizer))
    _renumber(tokenizer, number)
    staged = to.with_name(f".{to.name}-unfinished")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        shutil.copytree(base, staged, ignore=_unwanted(base))
        (staged / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
        parameters = _cut_weights(base, staged, ids)
        _renumber_settings(staged, number)
        if any(prefixes):
            first, second = [*prefixes, ""][:2]
            text = json.dumps({"prefix": first, "pair_prefix": second}, ensure_ascii=False, indent=2)
            (staged / SETTINGS).write_text(text + "\n", encoding="utf-8")
        staged.rename(to)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Trimmed(to, (before, len(ids)), parameters, (_megabytes(base), _megabytes(to)))


def change(source: Source, place: Path, texts: Sequence[str], *, english: bool, short: int) -> Change:
    """A stored version with its vocabulary trimmed to its train rows and the texts given."""
    from engine.export.derived import Change
    from engine.tasks import encoder

    rows = source.parts.train
    shown = [*texts, *(text for row in rows for text in (row.text, row.pair) if text is not None)]
    base = replace(source.base, folder=place / "model")
    prefixes = (base.prefix, base.pair_prefix)
    made = trim(source.base.folder, shown, base.folder, prefixes=prefixes, english=english, short=short)
    told = {"method": "trim-vocabulary", "pieces": {"before": made.pieces[0], "after": made.pieces[1]}}
    return Change(base, encoder.load(base.folder), told)


def kept(base: Path, texts: Sequence[str], *, prefixes: Sequence[str] = (), english: bool, short: int) -> list[int]:
    """Ids of the pieces that are to stay, ascending."""
    from tokenizers import Tokenizer

    read = Tokenizer.from_file(str(base / "tokenizer.json"))
    read.no_padding()
    read.no_truncation()
    document = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    model, mark = document["model"], _MARKS[document["model"]["type"]]
    pieces = _vocabulary(document)
    ids = {token["id"] for token in document["added_tokens"]}

    def add(written: Iterable[str]) -> None:
        for found in read.encode_batch(list(written)):
            ids.update(found.ids)

    add([*prefixes, *texts])
    normal = [read.normalizer.normalize_str(text) if read.normalizer else text for text in texts]
    seen = Counter(char for text in normal for char in text)
    letters = Counter(script for char, count in seen.items() if (script := script_of(char)) for _ in range(count))
    used = {script for script, count in letters.items() if count >= SCRIPT_SHARE * letters.total()}
    if english and "LATIN" in used:
        add(form for word in _english_words() for form in (word, word.capitalize()))
    of = {number: frozenset(filter(None, map(script_of, piece))) for number, piece in pieces.items()}
    sizes = Counter(script for scripts in of.values() if len(scripts) == 1 for script in scripts)
    whole = {script for script in used if sizes[script] <= WHOLE}
    known = set(pieces.values())
    for number, piece in pieces.items():
        bare = piece.removeprefix(mark)
        if (
            len(bare) <= 1
            or not any(char.isalpha() for char in bare)
            or (of[number] and of[number] <= whole)
            or (len(bare) <= short and all(char in seen for char in bare))
            or any(single not in known for single in _singles(piece, mark))
        ):
            ids.add(number)
    if document["model"]["type"] == "Unigram":  # the cost of <unk> hangs on the least likely piece
        ids.add(min(range(len(model["vocab"])), key=lambda number: model["vocab"][number][1]))
    return sorted(ids)


@cache
def script_of(char: str) -> str | None:
    """The script of a letter, as its Unicode name begins: "LATIN", "CJK", "CYRILLIC"; None for what is no letter."""
    return unicodedata.name(char, "").partition(" ")[0] or None if char.isalpha() else None


def _english_words() -> list[str]:
    """Some 21,000 in lower case: those that minilm's vocabulary holds as one piece."""
    document = json.loads((resolve("minilm").folder / "tokenizer.json").read_text(encoding="utf-8"))
    return [piece for piece in document["model"]["vocab"] if len(piece) > 1 and piece.isascii() and piece.isalpha()]


def _singles(piece: str, mark: str) -> Iterator[str]:
    """The one-character pieces that could stand for the piece where it is gone."""
    if mark == "##":
        bare = piece.removeprefix(mark)
        inside = piece.startswith(mark)
        yield from (mark + char if inside or place else char for place, char in enumerate(bare))
    else:
        yield from piece


def _vocabulary(document: dict[str, Any]) -> dict[int, str]:
    """Id -> piece, of the tokens added to the model's own too."""
    vocabulary = document["model"]["vocab"]
    if isinstance(vocabulary, dict):
        found = {number: piece for piece, number in vocabulary.items()}
    else:
        found = {number: piece for number, (piece, _) in enumerate(vocabulary)}
    return found | {token["id"]: token["content"] for token in document["added_tokens"]}


def _renumber(document: dict[str, Any], number: dict[int, int]) -> None:
    """Leave only the pieces of `number` in the tokenizer, under their new ids, in place."""
    model = document["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {piece: number[old] for piece, old in model["vocab"].items() if old in number}
    else:
        model["vocab"] = [entry for old, entry in enumerate(model["vocab"]) if old in number]
        if model.get("unk_id") is not None:
            model["unk_id"] = number[model["unk_id"]]
    for token in document["added_tokens"]:
        token["id"] = number[token["id"]]
    if document.get("padding"):
        document["padding"]["pad_id"] = number[document["padding"]["pad_id"]]
    _renumber_processor(document.get("post_processor") or {}, number)


def _renumber_processor(processor: dict[str, Any], number: dict[int, int]) -> None:
    for inner in processor.get("processors", []):
        _renumber_processor(inner, number)
    for token in processor.get("special_tokens", {}).values():
        token["ids"] = [number[old] for old in token["ids"]]
    for name in ("sep", "cls"):
        if name in processor:
            processor[name][1] = number[processor[name][1]]


def _renumber_settings(folder: Path, number: dict[int, int]) -> None:
    """The ids in config.json and tokenizer_config.json."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for name, old in config.items():
        if name.endswith("_token_id") and isinstance(old, int):
            config[name] = number.get(old)
    config["vocab_size"] = len(number)
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    path = folder / "tokenizer_config.json"
    if path.is_file():
        settings = json.loads(path.read_text(encoding="utf-8"))
        added = settings.get("added_tokens_decoder", {})
        if added:
            settings["added_tokens_decoder"] = {str(number[int(old)]): token for old, token in added.items()}
        path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _cut_weights(base: Path, to: Path, ids: list[int]) -> tuple[int, int]:
    """Write the weights with only the rows of `ids` where a tensor has one a piece; parameters before and after."""
    from safetensors.torch import load_file, save_file

    size = json.loads((base / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    tensors = load_file(base / "model.safetensors")
    before = sum(tensor.numel() for tensor in tensors.values())
    cut = {
        name: tensor[ids].contiguous() for name, tensor in tensors.items() if len(tensor.shape) and len(tensor) == size
    }
    if not any("embed" in name for name in cut):
        raise InputError(f"{base}: model.safetensors holds no embeddings of {size} rows, as its config.json says")
    tensors |= cut
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    return before, sum(tensor.numel() for tensor in tensors.values())


def _unwanted(base: Path) -> Callable[[str, list[str]], set[str]]:
    """What is not copied: weights and vocabularies that are written anew, and other formats of them."""
    top, below = shutil.ignore_patterns(*_NOT_COPIED, "*.onnx", ".*"), shutil.ignore_patterns("*.onnx", ".*")
    return lambda folder, names: (top if Path(folder) == base else below)(folder, names)


def _megabytes(folder: Path) -> float:
    return sum((folder / name).stat().st_size for name in ("model.safetensors", "tokenizer.json")) / 1e6
