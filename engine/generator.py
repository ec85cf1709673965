"""Generator: a stored generate model that answers prompts in words, the most likely one after the other.

An answer never depends on its neighbours: every prompt is a call of its own, on all cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from engine.data.rows import BadRow, Row
from engine.errors import InputError
from engine.predictor import Prediction, Predictor, Text
from engine.tasks.heads import ModelSpec
from engine.tasks.kinds import Output
from engine.tasks.reply import HEAD, Generated, Message, turn

Prompt = str | Sequence[Message]
"""A user's text, or a conversation so far that ends with one: [{"role": "user", "content": "..."}]."""


class Generator(Predictor):
    """Answers by one stored version. Made by `engine.load`, or `opening.opened` for a folder.

    Attributes:
        max_new_tokens: bound on an answer, as the recipe set it.
    """

    def __init__(self, folder: Path, spec: ModelSpec, *, model: str) -> None:
        import torch

        from engine.tasks import causal
        from engine.tasks.chat import Chat

        # Not by Predictor's own: there is no session that gives outputs for a text.
        self.spec, self.model, self.backend, self.version = spec, model, "torch", None
        self.temperatures = {HEAD: 1.0}
        place = folder / "model"
        self._chat = Chat(place, system=spec.prefix)
        self._encoder = causal.load(place).to("cuda" if torch.cuda.is_available() else "cpu")
        core = causal.bare(self._encoder)
        self.max_new_tokens = int(core.generation_config.max_new_tokens)
        self._penalty = float(core.generation_config.repetition_penalty or 1)
        self._context = getattr(core.config, "max_position_embeddings", None)

    def answer(
        self, prompt: Prompt, *, max_new_tokens: int | None = None, temperature: float = 0.0, seed: int | None = None
    ) -> Generated:
        """The whole answer.

        Args:
            temperature: 0 takes the most likely token each time; above that tokens are drawn, at 1 as often as the
                model finds them likely.
            seed: of the draws; the same gives the same answer.

        Raises:
            InputError: the prompt is no text or conversation, or finds no room in the model's context.
        """
        ids = list(self._tokens(prompt, max_new_tokens, temperature, seed))
        return Generated(self._chat.text(ids), len(ids), bool(ids) and ids[-1] in self._chat.ends)

    def pieces(
        self, prompt: Prompt, *, max_new_tokens: int | None = None, temperature: float = 0.0, seed: int | None = None
    ) -> Iterator[str]:
        """As `answer`, its text piece by piece as it is written: whole characters, which joined are the answer's text.

        A reader that goes away stops the writing.
        """
        from engine.tasks.chat import BROKEN

        ids: list[int] = []
        told = ""
        for token in self._tokens(prompt, max_new_tokens, temperature, seed):
            ids.append(token)
            text = self._chat.text(ids)
            if text != told and not text.endswith(BROKEN):
                yield text[len(told) :]
                told = text
        if rest := self._chat.text(ids)[len(told) :]:
            yield rest

    def stream(self, texts: Iterable[Text]) -> Iterator[Prediction]:
        """Answers to prompts that come one after the other; the head is "answer"."""
        return map(self.one, texts)

    def one(self, text: Text) -> Prediction:
        """As `stream`, for one prompt."""
        if not isinstance(text, str):
            raise InputError(f"predict takes prompts here, one text each; got {type(text).__name__}")
        return Prediction({HEAD: self.answer(text)}, self.model, self.backend)

    def outputs(self, texts: Sequence[Text]) -> NoReturn:
        raise InputError(
            f"{self.model}: answers in words, which have no logits of their own; judge it on labelled rows"
        )

    def judged(self, rows: Sequence[Row]) -> dict[str, list[Output]]:
        """What `reply.Reply` reads of each row's true answer; a row without room for one counts no tokens."""
        from engine.tasks.causal import CausalModel, encoded, judged

        given = encoded(rows, self._chat, self.spec.max_length)
        found = [Output(np.zeros(3)) for _ in rows]
        for number, output in zip(given.answered, judged(CausalModel(self._encoder), given), strict=True):
            found[number] = output
        return {HEAD: found}

    def _tokens(self, prompt: Prompt, limit: int | None, temperature: float, seed: int | None) -> Iterator[int]:
        from engine.tasks.causal import Drawn, continued, greedy

        ids = self._chat.prompt(_conversation(prompt))
        limit = self.max_new_tokens if limit is None else limit
        if limit < 1 or temperature < 0:
            raise InputError(f"max_new_tokens {limit}, temperature {temperature}: give 1 or more, and 0 or more")
        if self._context and len(ids) + limit > self._context:
            raise InputError(
                f"the prompt takes {len(ids):,} tokens and its answer up to {limit:,}, over the {self._context:,} that "
                f"{self.model} can read; shorten it"
            )
        pick = Drawn(temperature, seed) if temperature else greedy
        for tokens in continued(self._encoder, [ids], limit=limit, penalty=self._penalty, pick=pick):
            token = int(tokens[0])
            yield token
            if token in self._chat.ends:
                return


def _conversation(prompt: Prompt) -> list[Message]:
    given = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(given, Sequence):
        raise InputError(f"a prompt is a text, or turns as {{role, content}}; got {type(given).__name__}")
    try:
        found = [turn(message, f"prompt, turn {at}") for at, message in enumerate(given, 1)]
    except BadRow as fault:
        raise InputError(f"{fault}; give a text, or turns as {{role, content}}") from None
    if not found or found[-1]["role"] != "user":
        raise InputError("the last turn of a prompt is a user's; give a text, or turns that end with one")
    return found
