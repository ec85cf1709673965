"""Reply: an answer in words, what a row says of it and its figures. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.data.rows import BadRow, Row
from engine.tasks.heads import HeadSpec
from engine.tasks.kinds import Metric, Output, arrays

HEAD = "answer"
Message = dict[str, str]
"""A turn of a conversation: `role` ("system", "user", "assistant") and `content`."""


@dataclass(frozen=True)
class Generated:
    text: str
    tokens: int
    """Tokens it took, the one that ends it included."""
    ended: bool
    """It came to its own end; False: the bound on tokens cut it off."""


class Reply:
    """A label is the answer, or the turns that follow the prompt, from an assistant's to an assistant's.

    Outputs are three sums over an answer's tokens: log probability, right guesses, and their number.
    """

    main = "log_likelihood"

    def read(self, head: HeadSpec, value: Any, column: str, text: str, pair: str | None) -> str | tuple[Message, ...]:
        from engine.data.sources import check_text

        if isinstance(value, list):
            turns = tuple(turn(message, f"field '{column}', turn {at}") for at, message in enumerate(value, 1))
            roles = [message["role"] for message in turns]
            if len(roles) % 2 == 0 or roles != ["assistant", "user"] * (len(roles) // 2) + ["assistant"]:
                raise BadRow(
                    f"field '{column}' has the turns {', '.join(roles) or 'none'}; they follow the prompt, from an "
                    "assistant's to an assistant's, by turns"
                )
            return turns
        return check_text(value, column).strip()

    def temperature(self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output]) -> float:
        return 1.0

    def metrics(
        self, head: HeadSpec, rows: Sequence[Row], outputs: Sequence[Output], temperature: float
    ) -> dict[str, Metric]:
        """All over the tokens of the answers: mean log probability, its perplexity, and the share guessed right."""
        sums = arrays(outputs)

        def mean(place: int) -> Metric:
            return lambda over: float(sums[over, place].sum() / sums[over, 2].sum())

        likelihood = mean(0)
        return {
            "log_likelihood": likelihood,
            "perplexity": lambda over: float(np.exp(-likelihood(over))),
            "token_accuracy": mean(1),
        }

    def answer(self, head: HeadSpec, output: Output, temperature: float, text: str, pair: str | None) -> Generated:
        raise TypeError("an answer in words is not decoded from sums: engine.generator writes it")


def turn(message: Any, where: str) -> Message:
    """A message of a conversation, fit to use.

    Raises:
        BadRow: it has no known role or no text; naming `where` it stands.
    """
    from engine.data.sources import check_text

    if not isinstance(message, Mapping) or message.get("role") not in ("system", "user", "assistant"):
        raise BadRow(f"{where}: not {{role, content}} with the role system, user or assistant")
    return {"role": message["role"], "content": check_text(message.get("content"), f"{where}, content").strip()}


def messages(row: Row) -> list[Message]:
    """The row as a conversation that ends with an assistant's turn."""
    label = row.labels[HEAD]
    turns = [{"role": "assistant", "content": label}] if isinstance(label, str) else list(label)
    return [{"role": "user", "content": row.text}, *turns]
