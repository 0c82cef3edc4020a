"""One SMTP session: the hooks that aiosmtpd calls, and what rules make of its steps."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session

from mirsal_testing.faults.sever import sever
from mirsal_testing.simulators.smtp.mailbox import Mailbox, ReceivedMail
from mirsal_testing.simulators.smtp.rules import Action, SmtpRule, Stage, choose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirsal_testing.simulators.rulebook import RuleBook

ACCEPTED = "250 2.0.0 OK"


class SessionHooks:
    """One for the whole server; aiosmtpd hands over the session at every step."""

    def __init__(
        self,
        mailbox: Mailbox,
        rules: RuleBook[SmtpRule],
        *,
        login_required: bool,
        delay: float,
    ) -> None:
        self._mailbox = mailbox
        self._rules = rules
        self._login_required = login_required
        self._delay = delay

    async def handle_AUTH(  # noqa: N802 - aiosmtpd names its hooks so
        self, server: SMTP, _session: Session, _envelope: Envelope, _args: list[str]
    ) -> Any:
        return await self._meet(server, Stage.AUTH) or MISSING

    async def handle_MAIL(  # noqa: N802 - as above
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if self._login_required and not session.authenticated:
            return "530 5.7.0 Authentication required"
        reply = await self._meet(server, Stage.MAIL, address)
        if reply is not None:
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - as above
        self,
        server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        reply = await self._meet(server, Stage.RCPT, envelope.mail_from, [address])
        if reply is not None:
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - as above
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        delay, rule = self._choose(Stage.DATA, envelope.mail_from, envelope.rcpt_tos, content)
        # Taken on arrival, before any delay: who goes away meanwhile has sent it all the same.
        if rule is None or rule.action.accepts:
            self._mailbox.accept(_make_mail(server, session, envelope, content))
            self._mailbox.count("accepted")
        delay += self._delay
        if delay:
            await asyncio.sleep(delay)
        if rule is None:
            return ACCEPTED
        return await self._act(server, Stage.DATA, rule.action)

    async def _meet(
        self,
        server: SMTP,
        stage: Stage,
        sender: str | None = None,
        recipients: list[str] | None = None,
    ) -> str | None:
        """The reply that a rule gives to this step, if any."""
        delay, rule = self._choose(stage, sender, recipients or [], b"")
        if delay:
            await asyncio.sleep(delay)
        return None if rule is None else await self._act(server, stage, rule.action)

    def _choose(
        self, stage: Stage, sender: str | None, recipients: list[str], content: bytes
    ) -> tuple[float, SmtpRule | None]:
        if not self._rules.live:
            return 0.0, None
        return choose(self._rules, stage, sender, recipients, content)

    async def _act(self, server: SMTP, stage: Stage, action: Action) -> str:
        if action.reply is not None:
            line = action.reply.line()
            self._mailbox.count(f"{stage} {action.reply.code}")
            if not action.close and action.reply.code != CLOSING:
                return line
            await server.push(line)
            if server.transport is not None:
                server.transport.close()
        elif action.drop is not None:
            self._mailbox.count(f"{stage} dropped")
            sever(server.transport, reset=action.reset)
        else:
            self._mailbox.count(f"{stage} hung")
        # The session's task is cancelled as soon as its connection is gone.
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


CLOSING = 421
"""Service not available, closing transmission channel (RFC 5321, 3.8)."""


def _make_mail(server: SMTP, session: Session, envelope: Envelope, content: bytes) -> ReceivedMail:
    login = session.login_data
    # aiosmtpd's session knows of STARTTLS only, the transport of both kinds of TLS.
    transport = server.transport
    encrypted = transport is not None and transport.get_extra_info("ssl_object") is not None
    return ReceivedMail(
        arrived=time.time(),
        sender=envelope.mail_from or "",
        recipients=tuple(envelope.rcpt_tos),
        content=content,
        tls=encrypted,
        user=login.decode("utf-8", "replace") if isinstance(login, bytes) else None,
        smtp_utf8=bool(envelope.smtp_utf8),
    )


class Authenticator:
    """Checks user names and passwords for PLAIN and LOGIN; without users it takes every one."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = {name.encode(): password.encode() for name, password in users.items()}

    def __call__(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        known = isinstance(data, LoginPassword) and (
            not self._users or self._users.get(data.login) == data.password
        )
        return AuthResult(success=known, handled=False, auth_data=data)
