"""Chat: conversations -> token ids by the base's own template, the same ids for training and for serving.

An answer's ids are put after those of the prompt that serving would give, never looked for in the ids of the whole:
where a template puts a line break before an answer, white space at its start would melt into one token with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.errors import InputError, RecipeError
from engine.tasks.reply import Message

BROKEN = "\ufffd"
"""What decoding shows for the first bytes of a character whose last ones are missing."""


@dataclass(frozen=True)
class Example:
    """Token ids of a conversation, and which of them the model says itself: the answers, each with its end token."""

    input_ids: list[int]
    answers: list[bool]
    cut: bool = False
    """The last answer was longer than there was room; then it has no end token, since it does not end there."""


class Chat:
    """The conversations of one base or stored model.

    Attributes:
        ends: ids of the tokens that end an answer; the first is the one that answers are taught to end with.

    Args:
        folder: a causal model with its tokenizer, as transformers saves them.
        system: the system message before every conversation that brings none; empty: what the template does by itself.

    Raises:
        RecipeError: the base has no chat template, or no token that ends an answer.
    """

    def __init__(self, folder: Path, *, system: str = "") -> None:
        import transformers

        self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
        self.system = system
        self._folder = folder
        if not self.tokenizer.chat_template:
            raise RecipeError(f"base: {folder} has no chat template; take a chat model, such as smollm2")
        self.ends = self._ends()

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids up to where the assistant's next turn begins."""
        found: list[int] = self._apply(messages, add_generation_prompt=True, return_dict=False)
        return found

    def examples(self, messages: Sequence[Message], max_length: int) -> Iterator[Example]:
        """A conversation as what training reads: its whole, or, where the template rewrites earlier turns (as some drop
        past reasoning), an example an assistant's turn.

        A turn that finds no room within `max_length` is left out with all after it; none may be left.
        """
        ids: list[int] = []
        answers: list[bool] = []
        for at, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self.prompt(messages[:at])
            if before[: len(ids)] != ids:
                yield Example(ids, answers)
                ids, answers = [], []
            whole = self.answer(message["content"])
            said = self._within(whole, max_length - len(before))
            if not said:
                break
            answers = [*answers, *[False] * (len(before) - len(answers)), *[True] * len(said)]
            ids = before + said
            if len(said) < len(whole):
                yield Example(ids, answers, cut=True)
                return
        if ids:
            yield Example(ids, answers)

    def answer(self, text: str) -> list[int]:
        """Ids of an answer and its end."""
        found: list[int] = self.tokenizer(self._harmless(text.strip()), add_special_tokens=False)["input_ids"]
        return [*found, self.ends[0]]

    def text(self, ids: Sequence[int]) -> str:
        """What ids say, without special tokens."""
        found: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return found

    def _apply(self, messages: Sequence[Message], **options: Any) -> Any:
        shown = [{**message, "content": self._harmless(message["content"])} for message in messages]
        if self.system and not (shown and shown[0]["role"] == "system"):
            shown.insert(0, {"role": "system", "content": self.system})
        import jinja2

        try:
            return self.tokenizer.apply_chat_template(shown, **options)
        except jinja2.TemplateError as fault:
            roles = ", ".join(message["role"] for message in shown)
            raise InputError(f"the chat template of {self._folder} refuses the turns {roles}: {fault}") from None

    def _harmless(self, text: str) -> str:
        """The text with special tokens broken up by a space: typed by a user, one would end a turn or begin another."""
        while self._special and self._special.search(text):
            text = self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return text

    @cached_property
    def _special(self) -> re.Pattern[str] | None:
        tokens = {str(token) for token in self.tokenizer.all_special_tokens}
        tokens |= {token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special}
        found = [re.escape(token) for token in tokens if len(token.strip()) > 1]
        return re.compile("|".join(sorted(found, key=len, reverse=True))) if found else None

    def _within(self, ids: list[int], room: int) -> list[int]:
        """The ids if there is room, else as many as end with a whole character."""
        if len(ids) <= room:
            return ids
        ids = ids[: max(0, room)]
        while ids and self.text(ids).endswith(BROKEN):
            ids = ids[:-1]
        return ids

    def _ends(self) -> list[int]:
        """What the template writes after an answer, of the tokens at which generation stops; then the others."""
        import transformers

        known = {self.tokenizer.eos_token_id}
        if (self._folder / "generation_config.json").is_file():
            stops = transformers.GenerationConfig.from_pretrained(self._folder).eos_token_id
            known |= set(stops if isinstance(stops, list) else [stops])
        known.discard(None)
        marker = "Yes"
        turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": marker}]
        after = str(self._apply(turns, tokenize=False)).rpartition(marker)[2]
        written = [one for one in self.tokenizer(after, add_special_tokens=False)["input_ids"] if one in known]
        first = written[0] if written else self.tokenizer.eos_token_id
        if first is None:
            raise RecipeError(f"base: {self._folder} names no token that ends an answer; set its tokenizer's eos_token")
        return [first, *sorted(known - {first})]
