"""Mail: changes of an alert as one thread in a mailbox."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from html import escape
from urllib.parse import parse_qs, unquote, urlsplit

from apps.finance_monitor.sinks.sink import HEADLINES, TIMEOUT, Alert, Refused, headline
from engine.errors import InputError

PASSWORD = "KEEL_SMTP_PASSWORD"
"""The variable with the password of the user that an SMTP URL names."""
_HOW = "write smtp://USER@HOST:PORT/?from=ADDRESS&to=ADDRESS&starttls=1, or smtps:// for TLS from the start"
_PORTS = {"smtp": 25, "smtps": 465}
_MENDABLE = frozenset({530, 534, 535, 538})
"""5xx answers that ask for a login or for TLS: the fault of the settings, not of the message (RFC 4954)."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Mailbox:
    """One recipient: each is told at its own pace, and nobody twice because another's server is away.

    Attributes:
        tls: from the start ("smtps"), by STARTTLS before anything is said, or not at all.
    """

    host: str
    port: int
    sender: str
    to: str
    tls: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"smtp {self.to} by {self.host}:{self.port}"

    def send(self, message: str, alert: Alert) -> None:
        mail = self.mail(message, alert)
        with _answers(), closing(self._connected()) as server:
            self._greet(server)
            with _for_good():
                server.send_message(mail, self.sender, [self.to])
            with suppress(smtplib.SMTPException, OSError):  # it has the message, whatever it says to our leave
                server.quit()

    def mail(self, message: str, alert: Alert) -> EmailMessage:
        """The change as a mail whose id is the change's: who gets it twice can tell."""
        domain = self.sender.rpartition("@")[2]
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, self.to
        mail["Subject"] = " ".join(headline(alert).split())
        mail["Date"] = formatdate(usegmt=True)
        mail["Message-ID"] = f"<{message}@{domain}>"
        if alert["revision"] > 1:
            mail["In-Reply-To"] = mail["References"] = f"<{alert['id']}-1@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        mail.set_content(_text(alert))
        mail.add_alternative(_html(alert), subtype="html")
        return mail

    def _connected(self) -> smtplib.SMTP:
        if self.tls == "smtps":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT, context=ssl.create_default_context())
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)

    def _greet(self, server: smtplib.SMTP) -> None:
        server.ehlo_or_helo_if_needed()
        if self.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if self.user is not None:
            server.login(self.user, self.password or "")


def mailboxes(url: str, option: str, password: str | None) -> list[Mailbox]:
    """The recipients of smtp://USER@HOST:PORT/?from=..&to=..&starttls=1.

    Raises:
        InputError: it is no such URL, or would send a password in the clear.
    """
    try:
        parts = urlsplit(url)
        port, query = parts.port, parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as fault:
        raise InputError(f"{option}: no URL ({fault}); {_HOW}") from None
    if parts.password is not None:
        raise InputError(f"{option}: a password in a URL is seen by all who list processes; set {PASSWORD}")
    if unknown := query.keys() - {"from", "to", "starttls"}:
        raise InputError(f"{option} {url}: unknown {', '.join(sorted(unknown))}; {_HOW}")
    if parts.scheme not in _PORTS or not parts.hostname or len(query.get("from", ())) != 1 or "to" not in query:
        raise InputError(f"{option} {url}: no whole SMTP URL; {_HOW}")
    sender, recipients = query["from"][0], [one for many in query["to"] for one in many.split(",")]
    for address in (sender, *recipients):
        _check_address(address, option)
    tls = "smtps" if parts.scheme == "smtps" else "starttls" if query.get("starttls") == ["1"] else None
    if parts.username is not None and tls is None and parts.hostname not in _LOOPBACK:
        raise InputError(f"{option} {url}: the password would go over the network in the clear; add starttls=1")
    user = None if parts.username is None else unquote(parts.username)
    return [
        Mailbox(parts.hostname, port or _PORTS[parts.scheme], sender, one, tls, user, password)
        for one in dict.fromkeys(recipients)
    ]


def _check_address(text: str, option: str) -> None:
    try:
        if not Address(addr_spec=text).domain:
            raise ValueError("no domain")
    except (ValueError, IndexError) as fault:
        raise InputError(f"{option}: {text!r} is no address ({fault}); {_HOW}") from None


@contextmanager
def _answers() -> Iterator[None]:
    """What goes wrong before a message is offered may be mended: a server that is away, a password, a certificate."""
    try:
        yield
    except smtplib.SMTPResponseException as fault:
        raise Refused(_said(fault.smtp_code, fault.smtp_error)) from None
    except (TimeoutError, smtplib.SMTPException, OSError) as fault:
        raise Refused(f"{type(fault).__name__}: {fault}") from None


@contextmanager
def _for_good() -> Iterator[None]:
    """5xx to a message is for good, 4xx for now (RFC 5321, 4.2.1)."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as fault:
        ((code, reason),) = fault.recipients.values()
        raise Refused(_said(code, reason), final=_final(code)) from None
    except smtplib.SMTPResponseException as fault:
        raise Refused(_said(fault.smtp_code, fault.smtp_error), final=_final(fault.smtp_code)) from None


def _final(code: int) -> bool:
    return code >= 500 and code not in _MENDABLE


def _said(code: int, reason: bytes | str) -> str:
    return f"answered {code} {reason.decode('utf-8', 'replace') if isinstance(reason, bytes) else reason}".strip()


def _told(alert: Alert) -> list[tuple[str, str]]:
    also = ", ".join(f"{key['type']} {key['value']}" for key in alert["related"])
    return [
        ("Severity", alert["severity"]),
        ("Opened", alert["opened"]),
        *([("Ended", alert["closed"])] if alert["closed"] else []),
        ("Stories", f"{alert['observed']} in {alert['window_minutes']} minutes, {alert['expected']:.1f} expected"),
        ("Probability, were all as usual", f"{alert['p_value']:.1e}"),
        *([("Also", also)] if also else []),
        ("Alert", f"{alert['id']}, told {alert['revision']} times" if alert["revision"] > 1 else alert["id"]),
    ]


def _text(alert: Alert) -> str:
    lines = [headline(alert), "", *(f"{name}: {value}" for name, value in _told(alert)), ""]
    for one in alert["evidence"][:HEADLINES]:
        lines += [f"- {one['title']}" + (f" ({one['url']})" if one.get("url") else "")]
    if more := len(alert["evidence"]) - HEADLINES:
        lines += [f"and {more} more"] if more > 0 else []
    return "\n".join(lines) + "\n"


def _html(alert: Alert) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in _told(alert))
    items = "".join(f"<li>{_linked(one)}</li>" for one in alert["evidence"][:HEADLINES])
    return f"<html><body><h3>{escape(headline(alert))}</h3><table>{rows}</table><ul>{items}</ul></body></html>\n"


def _linked(one: dict[str, str]) -> str:
    title, url = escape(one["title"]), one.get("url", "")
    return f'<a href="{escape(url)}">{title}</a>' if url.startswith(("https://", "http://")) else title
