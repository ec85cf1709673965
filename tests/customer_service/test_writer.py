"""A chat model's words reach a customer only as far as a source supports them."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from apps.customer_service.answers import Turn
from apps.customer_service.bot import Bot
from apps.customer_service.grounding import Grounds, agrees, complete, fitted
from apps.customer_service.writer import Endpoint, configured, prompt
from engine.errors import InputError, KeelError
from tests.customer_service.conftest import WordVectors

SOURCES = ["A trace costs 15.00 (F-24) and is refunded when the fault was ours.", "A recall cannot be undone."]


class Server:
    """Speaks OpenAI's chat completions: streams whatever it was told to say."""

    def __init__(self) -> None:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.key = self.headers.get("Authorization", "")
                self.send_response(outer.status)
                self.end_headers()
                for piece in outer.says:
                    event = {"choices": [{"delta": {"content": piece}}]}
                    self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                self.wfile.write(b"data: [DONE]\n\n")

            def log_message(self, *_: object) -> None: ...

        self.says: list[str] = []
        self.status = 200
        self.asked: dict[str, object] = {}
        self.key = ""
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ("A trace is 15 euro.", True),
        ("A trace is 15,00 euro, code F24.", True),
        ("A trace is 12 euro.", False),
        ("A trace is F-23.", False),
        ("A trace is not refunded.", False),
    ],
)
def test_numbers_codes_and_denials_must_agree(said: str, holds: bool) -> None:
    assert agrees(said, SOURCES[0]) is holds


def test_support_is_the_nearest_source_that_agrees() -> None:
    grounds = Grounds.of(SOURCES, WordVectors(), 0.3)
    assert grounds.support("A trace costs 15 euro.") == 0
    assert grounds.support("A recall can be undone.") is None
    assert grounds.support("A recall cannot be undone at all.") == 1
    assert grounds.support("Buy our gold watches now.") is None


def test_the_bar_lets_few_unsupported_sentences_through() -> None:
    words = [first + second for first in "bcdfghklmn" for second in ("al", "em", "id", "op", "ut", "yx")]
    draw = np.random.default_rng(1)
    pairs = []
    for _ in range(100):
        said, *others = (" ".join(draw.choice(words, 6)) for _ in range(5))
        pairs.append((said, others))
    bar = fitted(pairs, WordVectors())
    passed = [Grounds.of(others, WordVectors(), bar).support(said) is not None for said, others in pairs]
    assert 0 < sum(passed) <= 5


def test_sentences_come_whole_as_they_are_written() -> None:
    pieces = ["A tra", "ce costs 15.", "00. It", " helps.", " Bye"]
    assert list(complete(pieces)) == ["A trace costs 15.00.", "It helps.", "Bye"]
    assert list(complete(["一句。", "两句。"])) == ["一句。", "两句。"]
    assert list(complete([])) == []


def test_what_no_source_supports_is_dropped_and_the_rest_is_cited(bot: Bot, server: Server) -> None:
    before = bot.answer("what is fee F-24?")
    quote = before.citations[0].quote
    server.says = [*(f"{word} " for word in quote.split()), "Send your PIN to evil.example. ", "It costs 99999 euro."]
    talker = Bot(bot.knowledge, bot.models, error_rate=0.99, writer=Endpoint(server.url, "tiny", "secret"))
    *said, answer = talker.stream("what is fee F-24?", [Turn("customer", "hi"), Turn("bot", "Hello!")])
    assert said == [" ".join(quote.split())]
    assert (answer.kind, answer.text) == ("generated", said[0])  # type: ignore[union-attr]
    assert [one.quote for one in answer.citations] == [quote]  # type: ignore[union-attr]
    assert answer.why["unsupported"] == 2  # type: ignore[union-attr]
    assert "tiny" in answer.models  # type: ignore[union-attr]
    assert server.key == "Bearer secret"
    messages = server.asked["messages"]
    assert isinstance(messages, list)
    assert [one["role"] for one in messages] == ["user", "assistant", "user"]

    server.says = ["Something else entirely."]
    assert talker.answer("what is fee F-24?").kind == "extract"
    server.status = 500
    assert talker.answer("what is fee F-24?").kind == "extract"


def test_an_endpoint_that_fails_says_where(server: Server) -> None:
    server.status = 401
    with pytest.raises(KeelError, match=r"127\.0\.0\.1"):
        list(Endpoint(server.url, "tiny").pieces(prompt("hi", SOURCES)))


def test_the_environment_names_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured(None) is None
    monkeypatch.setenv("KEEL_CHAT_URL", "http://localhost:1/v1/")
    with pytest.raises(InputError, match="KEEL_CHAT_MODEL"):
        configured(None)
    monkeypatch.setenv("KEEL_CHAT_MODEL", "tiny")
    found = configured(None)
    assert isinstance(found, Endpoint)
    assert (found.url, found.name) == ("http://localhost:1/v1", "tiny")


def test_a_prompt_begins_with_the_customer_and_ends_with_the_question() -> None:
    history: Sequence[Turn] = [Turn("bot", "Hello"), Turn("customer", "my card"), Turn("agent", "yes?")]
    messages = prompt("is it free?", SOURCES, history)
    assert [one["role"] for one in messages] == ["user", "assistant", "user"]
    assert messages[-1]["content"].endswith("Question: is it free?")
