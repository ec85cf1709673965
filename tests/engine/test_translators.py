"""Translators talk to a real server and run a real (tiny, random) model."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.data.augment.translators import KEY, TRANSLATE, Endpoint, Seq2Seq
from engine.errors import InputError, KeelError

Answer = Callable[[dict[str, Any]], tuple[int, dict[str, str], str]]


class Server(ThreadingHTTPServer):
    """Answers chat completions by a function of the request; keeps what it was asked."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        status, headers, text = self.server.answer(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None: ...


def said(text: str) -> tuple[int, dict[str, str], str]:
    return 200, {}, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []
    monkeypatch.setattr(Endpoint, "pause", 0.01)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv(KEY, raising=False)

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_endpoint_is_asked_text_by_text_and_answers_in_order(
    serve: Callable[[Answer], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda body: said(f'"{body["messages"][1]["content"].upper()}"'))
    monkeypatch.setenv(KEY, "secret")
    endpoint = Endpoint(server.url + "/", "some-model", TRANSLATE.format(language="German"), seed=7)
    assert list(endpoint.stream([f"text {n}" for n in range(9)])) == [f"TEXT {n}" for n in range(9)]
    assert {path for path, _, _ in server.asked} == {"/v1/chat/completions"}
    assert {key for _, key, _ in server.asked} == {"Bearer secret"}
    body = server.asked[0][2]
    assert (body["model"], body["seed"]) == ("some-model", 7)
    assert body["messages"][0]["role"] == "system"
    assert "into German" in body["messages"][0]["content"]


def test_without_a_key_none_is_sent(serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda body: said("x"))
    assert list(Endpoint(server.url, "m", "i").stream(["a"])) == ["x"]
    assert server.asked[0][1] is None


def test_a_busy_endpoint_is_asked_again(serve: Callable[[Answer], Server]) -> None:
    answers = iter([(429, {"Retry-After": "0"}, "slow down"), (503, {}, ""), said("“done”")])
    server = serve(lambda body: next(answers))
    assert list(Endpoint(server.url, "m", "i").stream(["a"])) == ["done"]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "told", "tries"),
    [
        ((401, {}, "no"), rf"HTTP 401 no; set {KEY} to its key", 1),
        ((500, {}, "broken"), r"4 tries failed, the last with: HTTP 500 broken", 4),
        ((200, {}, "<html>"), r"in another form than a chat completion: b'<html>'", 1),
        ((200, {}, '{"choices": []}'), r"in another form than a chat completion", 1),
        ((302, {"Location": "http://127.0.0.1:9/"}, ""), r"HTTP 302", 1),
    ],
)
def test_a_failing_endpoint_is_told_and_not_asked_on(
    serve: Callable[[Answer], Server], answer: tuple[int, dict[str, str], str], told: str, tries: int
) -> None:
    server = serve(lambda body: answer)
    endpoint = Endpoint(server.url, "m", "i")
    endpoint.threads = 1
    with pytest.raises(KeelError, match=told):
        list(endpoint.stream(["a"] * 50))
    assert len(server.asked) == tries


def test_an_endpoint_that_is_not_there_is_told(serve: Callable[[Answer], Server]) -> None:
    server = serve(lambda body: said("x"))
    server.shutdown()
    server.server_close()
    with pytest.raises(KeelError, match=r"4 tries failed, the last with: .*refused"):
        list(Endpoint(server.url, "m", "i").stream(["a"]))
    with pytest.raises(InputError, match="ftp://x: no base URL of an endpoint"):
        Endpoint("ftp://x", "m", "i")


def test_a_model_gives_one_text_for_each_and_the_same_for_the_same_seed(tiny_t5: Path) -> None:
    texts = ["profit fell on weak demand", "sales rose", "利 润"] * 7
    found = list(Seq2Seq(str(tiny_t5), prefix="in the ", seed=1).stream(texts))
    assert len(found) == len(texts)
    assert any(found)
    assert found == list(Seq2Seq(str(tiny_t5), prefix="in the ", seed=1).stream(texts))
    assert found != list(Seq2Seq(str(tiny_t5), prefix="in the ", seed=2).stream(texts))


def test_a_marian_model_translates_in_one_direction(tiny_marian: Path) -> None:
    found = list(Seq2Seq(str(tiny_marian)).stream(["profit fell", "", "the bank lost money"]))
    assert len(found) == 3
    assert any(found)


def test_a_model_of_another_kind_is_refused(toy_base: Path) -> None:
    with pytest.raises(InputError, match="is a model of kind encoder; rewriting takes an encoder-decoder"):
        Seq2Seq(str(toy_base))
    with pytest.raises(InputError, match="no-such-folder"):
        Seq2Seq("no-such-folder")
