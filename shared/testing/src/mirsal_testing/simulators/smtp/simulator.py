"""The SMTP simulator: a mail server that keeps every mail, and its inbox on HTTP.

Sessions, rules, reading and pages have modules of their own.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP

from mirsal_testing.faults.sever import sever
from mirsal_testing.simulators.listener import HttpListener
from mirsal_testing.simulators.rulebook import RuleBook
from mirsal_testing.simulators.smtp.greeting import LateGreeting
from mirsal_testing.simulators.smtp.inbox import InboxRoutes
from mirsal_testing.simulators.smtp.mailbox import Mailbox, ReceivedMail
from mirsal_testing.simulators.smtp.rules import SmtpRule, Stage, choose
from mirsal_testing.simulators.smtp.session import Authenticator, SessionHooks

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from typing import Any, Literal, Self

HOST_NAME = "smtp.simulator.test"
SIZE_LIMIT = 35_882_577
"""Bytes; what smtp.gmail.com announces."""
IDLE_SECONDS = 300.0


class TrackedSession(SMTP):
    """aiosmtpd's session, known to its server while it lasts."""

    def __init__(self, open_sessions: set[TrackedSession], **options: Any) -> None:
        super().__init__(**options)
        self._open_sessions = open_sessions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._open_sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._open_sessions.discard(self)
        super().connection_lost(error)


class SmtpSimulator:
    """`async with SmtpSimulator() as smtp:`, then send to `smtp.host`, `smtp.port`.

    `security` is as MIRSAL_SMTP_TLS has it: none, starttls or tls; the latter two need a server
    `tls_context`. With `users` (name to password) a login is demanded before any mail.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        inbox_port: int = 0,
        security: Literal["none", "starttls", "tls"] = "none",
        tls_context: ssl.SSLContext | None = None,
        users: Mapping[str, str] | None = None,
        size_limit: int = SIZE_LIMIT,
        idle_seconds: float = IDLE_SECONDS,
        delay_ms: int = 0,
        keep: int = 0,
        seed: int = 0,
    ) -> None:
        if (security == "none") != (tls_context is None):
            raise ValueError("tls_context goes with security starttls or tls")
        self.host = host
        self.port = port
        self.rules: RuleBook[SmtpRule] = RuleBook(SmtpRule, seed)
        self.mailbox = Mailbox(keep)
        self._implicit_tls = tls_context if security == "tls" else None
        self._options: dict[str, Any] = {
            "handler": SessionHooks(
                self.mailbox, self.rules, login_required=bool(users), delay=delay_ms / 1000
            ),
            "data_size_limit": size_limit,
            "enable_SMTPUTF8": True,
            "hostname": HOST_NAME,
            "ident": "Mirsal SMTP simulator",
            "tls_context": tls_context if security == "starttls" else None,
            "require_starttls": security == "starttls",
            "timeout": idle_seconds,
            "authenticator": Authenticator(users or {}),
            # The hooks demand the login: aiosmtpd would warn of each session without TLS.
            "auth_require_tls": security == "starttls",
        }
        self._sessions: set[TrackedSession] = set()
        self._server: asyncio.Server | None = None
        routes = InboxRoutes(self.mailbox, self.rules, lambda: f"{self.host}:{self.port}")
        self._inbox = HttpListener(routes.control().answer, host, inbox_port)

    def __str__(self) -> str:
        return f"SMTP simulator at {self.host}:{self.port}, inbox at {self.inbox_url}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        # aiosmtpd logs each line of each session at INFO, and a warning for plain logins.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self._server = await loop.create_server(
            self._make_protocol, self.host, self.port, ssl=self._implicit_tls, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            await self._inbox.start()
        except OSError:
            self._server.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            if session.transport is not None:
                sever(session.transport, reset=False)
        await self._inbox.stop()
        # Lets the sessions notice that their connections are gone.
        await asyncio.sleep(0)

    @property
    def inbox_url(self) -> str:
        return self._inbox.url

    @property
    def messages(self) -> list[ReceivedMail]:
        """The accepted mails, oldest first."""
        return list(self.mailbox.mails)

    async def wait_for_messages(self, count: int, seconds: float = 10.0) -> None:
        """Returns once `count` were accepted. Raises TimeoutError, which says how many were."""
        await self.mailbox.mails.reach(count, seconds)

    def fail_next(
        self,
        stage: Stage | str,
        code: int,
        text: str = "simulated",
        *,
        times: int = 1,
        match: Mapping[str, object] | None = None,
    ) -> SmtpRule:
        """The next steps of that kind are answered `code text`; a 421 closes the connection."""
        action = {"reply": {"code": code, "text": text}}
        return self.rules.add(
            {"stage": stage, "times": times, "match": match or {}, "action": action}
        )

    def drop_next(self, when: str = "after", *, times: int = 1, reset: bool = False) -> SmtpRule:
        """The next mails lose their connection `before` or `after` the mail was taken."""
        action = {"drop": when, "reset": reset}
        return self.rules.add({"stage": Stage.DATA, "times": times, "action": action})

    def reset(self) -> None:
        """Forgets mails and rules."""
        self.mailbox.clear()
        self.rules.clear()

    def _make_protocol(self) -> asyncio.Protocol:
        if self.rules.live:
            delay, rule = choose(self.rules, Stage.GREETING)
            if delay or rule is not None:
                self.mailbox.count(greeting_outcome(rule))
                return LateGreeting(delay, rule, self._make_session)
        return self._make_session()

    def _make_session(self) -> TrackedSession:
        return TrackedSession(self._sessions, loop=asyncio.get_running_loop(), **self._options)


def greeting_outcome(rule: SmtpRule | None) -> str:
    if rule is None:
        return "greeting delayed"
    if rule.action.reply is not None:
        return f"greeting {rule.action.reply.code}"
    return "greeting dropped" if rule.action.drop is not None else "greeting hung"
