"""Writer: a chat model that words an answer out of the found sentences, when one is configured.

What it writes is a proposal: `grounding` shows the customer only what a source supports. Sources and the customer's
words stand in the prompt as data; whatever they order, only what a source says comes out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from apps.customer_service.answers import Turn
from engine.errors import InputError, KeelError

if TYPE_CHECKING:
    import httpx

    from engine import Generator

URL, KEY, MODEL = "KEEL_CHAT_URL", "KEEL_CHAT_KEY", "KEEL_CHAT_MODEL"
TASK = (
    "You answer a customer of a company. Use only the sources below, in your own short sentences, and change no "
    "number, name or code. If they do not answer the question, write: I don't know."
)
MAX_TOKENS = 160
TIMEOUT_S = 60.0
SHOWN = 6
"""Sentences that the model is shown."""
TURNS = 4
"""Earlier turns that the model is shown."""


class Writer(Protocol):
    name: str

    def pieces(self, messages: list[dict[str, str]]) -> Iterator[str]:
        """An answer, piece by piece; closing the iterator stops the writing."""


class Local:
    """A stored generate model on this machine, such as SmolLM2 tuned on past dialogues."""

    def __init__(self, reference: str) -> None:
        from engine import Generator, load

        model = load(reference.removeprefix("store:"))
        if not isinstance(model, Generator):
            raise InputError(f"--chat-model {reference}: not a chat model; train one: task.kind generate")
        self._model: Generator = model
        self.name = model.model

    def pieces(self, messages: list[dict[str, str]]) -> Iterator[str]:
        return self._model.pieces(messages, max_new_tokens=MAX_TOKENS)


class Endpoint:
    """Any server that speaks OpenAI's chat completions.

    Args:
        url: its base, such as http://localhost:11434/v1.
    """

    def __init__(self, url: str, model: str, key: str = "") -> None:
        self.url, self.name, self._key = url.rstrip("/"), model, key

    def pieces(self, messages: list[dict[str, str]]) -> Iterator[str]:
        """Raises: KeelError: it does not answer, or with something else."""
        import httpx

        body = {"model": self.name, "messages": messages, "stream": True, "max_tokens": MAX_TOKENS, "temperature": 0}
        try:
            with self._asked(httpx, body) as answer:
                for line in answer.iter_lines():
                    data = line.removeprefix("data:").strip()
                    if not line.startswith("data:") or data == "[DONE]":
                        continue
                    choices = json.loads(data).get("choices") or [{}]
                    if piece := (choices[0].get("delta") or {}).get("content"):
                        yield piece
        except (httpx.HTTPError, ValueError, AttributeError, LookupError, TypeError) as fault:
            raise KeelError(f"chat model at {self.url}: {type(fault).__name__}: {fault}") from None

    @contextmanager
    def _asked(self, httpx: Any, body: dict[str, Any]) -> Iterator[httpx.Response]:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        url = f"{self.url}/chat/completions"
        with httpx.stream("POST", url, json=body, headers=headers, timeout=TIMEOUT_S) as answer:
            answer.raise_for_status()
            yield answer


def configured(reference: str | None) -> Writer | None:
    """The writer that a command's --chat-model or the environment names; None: answers are quoted.

    KEEL_CHAT_URL (an OpenAI-compatible base URL), KEEL_CHAT_MODEL and KEEL_CHAT_KEY name an endpoint.
    """
    if reference:
        return Local(reference)
    if url := os.environ.get(URL):
        model = os.environ.get(MODEL)
        if not model:
            raise InputError(f"{URL} is set: name the model too, in {MODEL}")
        return Endpoint(url, model, os.environ.get(KEY, ""))
    return None


def prompt(question: str, sources: Sequence[str], history: Sequence[Turn] = ()) -> list[dict[str, str]]:
    """What the model is asked. The same words are used in training (see `examples.written`)."""
    told = "\n".join(f"{number}. {' '.join(source.split())}" for number, source in enumerate(sources, 1))
    turns = [
        {"role": "user" if turn.role == "customer" else "assistant", "content": turn.text} for turn in history[-TURNS:]
    ]
    while turns and turns[0]["role"] != "user":
        turns.pop(0)
    return [*turns, {"role": "user", "content": f"{TASK}\n\nSources:\n{told}\n\nQuestion: {question}"}]
