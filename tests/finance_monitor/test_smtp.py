"""Mail over real SMTP: a thread an alert, each change once by its id and in order, nothing in the clear."""

from __future__ import annotations

import email.policy
import shutil
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from apps.finance_monitor import tables
from apps.finance_monitor.journal import Journal
from apps.finance_monitor.outbox import Outbox
from apps.finance_monitor.sinks import Refused
from apps.finance_monitor.sinks.smtp import Mailbox, mailboxes
from engine.errors import InputError
from tests.finance_monitor.test_outbox import fill, record

__all__ = ["record"]

Answer = Callable[[str, int], str | None]
"""A command's verb and how many there were before -> what the server says to it; None: the usual."""


class Post:
    """A server and the mails that it took."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[EmailMessage] = []
        self.said: list[str] = []
        """Commands as they came, those under TLS marked so."""


@contextmanager
def server(answer: Answer = lambda verb, number: None, *, tls: ssl.SSLContext | None = None) -> Iterator[Post]:
    post = Post()
    counts: dict[str, int] = {}

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.safe = False
            self.say("220 post ready")
            while line := self.rfile.readline():
                verb, _, rest = line.decode().strip().partition(" ")
                verb = verb.upper()
                post.said.append(("tls " if self.safe else "") + f"{verb} {rest}".strip())
                number = counts[verb] = counts.get(verb, -1) + 1
                own = answer(verb, number)
                if own == "":
                    return  # hung up
                if own or not self.usual(verb):
                    self.say(own or "250 fine")
                if verb == "QUIT":
                    return

        def finish(self) -> None:
            super().finish()
            self.connection.close()  # wrapped in TLS it is the server's no more

        def usual(self, verb: str) -> bool:
            """Whether the usual answer was more than a line."""
            if verb == "EHLO":
                self.say(
                    "250-post\r\n250-AUTH PLAIN" + ("\r\n250 STARTTLS" if tls and not self.safe else "\r\n250 HELP")
                )
            elif verb == "STARTTLS" and tls:
                self.say("220 go on")
                self.connection = tls.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
                self.safe = True
            elif verb == "AUTH":
                self.say("235 welcome")
            elif verb == "DATA":
                self.say("354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                post.mails.append(email.message_from_bytes(text, _class=EmailMessage, policy=email.policy.default))
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
            else:
                return False
            return True

        def say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    class Quiet(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client may hang up."""

    with Quiet(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        post.port = listening.server_address[1]
        yield post
        listening.shutdown()
        thread.join()


def mailbox(post: Post, **changes: Any) -> Mailbox:
    return Mailbox("127.0.0.1", post.port, "keel@desk.example", "risk@desk.example", **changes)


def alert(**changes: Any) -> dict[str, Any]:
    evidence = [{"id": "n1", "title": "<b>Bank</b> & 中国 run\r\nBcc: x@y", "url": "https://wire.example/?a=1&b=2"},
                {"id": "n2", "title": "Second", "url": "javascript:alert(1)"}]  # fmt: skip
    usual = {"id": "a1", "kind": "surge", "key": {"type": "company", "value": "中国\r\nBcc: x@y"}, "status": "firing",
             "revision": 1, "opened": "2026-03-02T08:15:00Z", "updated": "2026-03-02T08:15:00Z", "closed": None,
             "window_minutes": 60, "severity": "warning", "observed": 9, "expected": 0.4, "p_value": 1e-9,
             "related": [{"type": "topic", "value": "credit"}], "evidence": evidence, "reason": None}  # fmt: skip
    return usual | changes


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_an_alert_is_a_thread_and_its_titles_are_text() -> None:
    with server() as post:
        box = mailbox(post)
        box.send("a1-1", alert())
        box.send("a1-2", alert(revision=2, status="resolved", closed="2026-03-02T09:30:00Z", reason="calm"))
    first, last = post.mails
    assert (first["Message-ID"], first["In-Reply-To"]) == ("<a1-1@desk.example>", None)
    assert (last["Message-ID"], last["In-Reply-To"]) == ("<a1-2@desk.example>", "<a1-1@desk.example>")
    assert "Warning: 9 negative stories on company 中国 Bcc: x@y in 60 minutes" in first["Subject"]
    assert first["Bcc"] is None
    assert last["Subject"].startswith("Over: ")
    html = part(first, "html")
    assert "&lt;b&gt;Bank&lt;/b&gt; &amp; 中国" in html
    assert 'href="https://wire.example/?a=1&amp;b=2"' in html
    assert "javascript" not in html
    assert "- <b>Bank</b> & 中国" in part(first, "plain")


def test_every_change_comes_once_by_its_id_and_in_order_whatever_the_server_says(record: Journal) -> None:
    messages = fill(record, 12)
    said = {0: "451 greylisted", 3: "421 too busy", 6: ""}
    with server(lambda verb, number: said.get(number) if verb == "RCPT" else None) as post:
        box = Outbox(record.database, [mailbox(post)], first=0.0)
        for _ in range(40):
            box.deliver()
        assert box.end() == {}
    assert [mail["Message-ID"] for mail in post.mails] == [f"<{message}@desk.example>" for message in messages]


def test_what_is_refused_for_good_is_not_tried_again_and_the_next_goes_on(record: Journal) -> None:
    messages = fill(record, 3)
    with server(lambda verb, number: "550 no such mailbox" if (verb, number) == ("RCPT", 1) else None) as post:
        box = Outbox(record.database, [mailbox(post)], first=60.0)
        while box.deliver():
            pass
        assert box.end() == {}
    assert [mail["Message-ID"].split("@")[0][1:] for mail in post.mails] == [messages[0], messages[2]]
    with record.database.read() as connection:
        (left,) = connection.execute(tables.undelivered.select()).all()
    assert (left.number, left.reason) == (2, "answered 550 no such mailbox")


@pytest.mark.parametrize(
    ("verb", "says", "final"),
    [
        ("MAIL", "451 later", False),
        ("MAIL", "530 log in first", False),
        ("DATA", "554 spam", True),
        ("RCPT", "452 full", False),
        ("AUTH", "535 wrong password", False),
        ("EHLO", "", False),
    ],
)
def test_4xx_is_for_now_and_5xx_for_good_but_for_what_settings_mend(verb: str, says: str, final: bool) -> None:
    with server(lambda what, number: says if what == verb else None) as post, pytest.raises(Refused) as refused:
        mailbox(post, user="u", password="p").send("a1-1", alert())
    assert refused.value.final is final
    assert post.mails == []


@pytest.mark.parametrize("says", [None, "454 not now"])
def test_where_tls_is_refused_nothing_is_said_in_the_clear(says: str | None) -> None:
    """Not offered, or offered and refused."""
    offered = "250-post\r\n250-AUTH PLAIN\r\n250 STARTTLS" if says else None
    with (
        server(lambda verb, number: {"EHLO": offered, "STARTTLS": says}.get(verb)) as post,
        pytest.raises(Refused) as refused,
    ):
        mailbox(post, tls="starttls", user="u", password="p").send("a1-1", alert())
    assert not refused.value.final
    assert not [line for line in post.said if line.split()[0] in ("AUTH", "MAIL", "DATA")]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_under_starttls_login_and_mail_are_hidden_and_a_strangers_certificate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key",
         "-out", "cert", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with server(tls=tls) as post:
        box = mailbox(post, tls="starttls", user="u", password="secret")
        with pytest.raises(Refused, match="CERTIFICATE_VERIFY_FAILED"):
            box.send("a1-1", alert())
        assert post.mails == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
        box.send("a1-1", alert())
    assert len(post.mails) == 1
    assert [line for line in post.said if line.startswith("tls AUTH PLAIN")]
    assert not [line for line in post.said if line.startswith(("AUTH", "MAIL"))]
    assert "secret" not in repr(box)


def test_each_recipient_is_a_sink_of_its_own() -> None:
    url = "smtps://desk%40x@mail.example/?from=keel@desk.example&to=a@x.example,b@x.example&to=a@x.example"
    boxes = mailboxes(url, "--smtp", "secret")
    assert [box.name for box in boxes] == [
        "smtp a@x.example by mail.example:465",
        "smtp b@x.example by mail.example:465",
    ]
    assert (boxes[0].tls, boxes[0].user, boxes[0].password) == ("smtps", "desk@x", "secret")
    (one,) = mailboxes("smtp://u@mail.example:587/?from=a@b.example&to=c@d.example&starttls=1", "--smtp", None)
    assert (one.port, one.tls) == (587, "starttls")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("smtp://mail.example", "no whole SMTP URL"),
        ("http://mail.example/?from=a@b.example&to=c@d.example", "no whole SMTP URL"),
        ("smtp://mail.example/?from=a@b.example", "no whole SMTP URL"),
        ("smtp://mail.example/?from=a@b.example&to=c@d.example&cc=x", "unknown cc"),
        ("smtp://mail.example:port/?from=a@b.example&to=c@d.example", "no URL"),
        ("smtp://mail.example/?from=a@b.example&to=nobody", "no address"),
        ("smtp://mail.example/?from=a@b.example&to=c@d.example%0d%0aBcc:x@y", "no address"),
        ("smtp://u:p@mail.example/?from=a@b.example&to=c@d.example&starttls=1", "KEEL_SMTP_PASSWORD"),
        ("smtp://u@mail.example/?from=a@b.example&to=c@d.example", "in the clear"),
    ],
)
def test_a_url_that_is_none_is_told_and_no_password_with_it(url: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as told:
        mailboxes(url, "--smtp", "secret")
    assert "--smtp" in str(told.value)
    assert ":p@" not in str(told.value)
