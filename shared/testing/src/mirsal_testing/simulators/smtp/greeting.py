"""Rules at the greeting: connections that are refused, dropped, left hanging or greeted late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from mirsal_testing.faults.sever import sever

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirsal_testing.simulators.smtp.rules import SmtpRule


class LateGreeting(asyncio.Protocol):
    """Stands in for the SMTP protocol until the delay is over, or for good."""

    def __init__(
        self,
        delay: float,
        rule: SmtpRule | None,
        make_session: Callable[[], asyncio.Protocol],
    ) -> None:
        self._delay = delay
        self._rule = rule
        self._make_session = make_session
        self._early = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not narrowed by isinstance: uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(self._delay, self._greet)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, _error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _greet(self) -> None:
        if self._rule is None:
            session = self._make_session()
            self._transport.set_protocol(session)
            session.connection_made(self._transport)
            if self._early:
                session.data_received(self._early)
            return
        action = self._rule.action
        if action.reply is not None:
            self._transport.write(action.reply.line().encode() + b"\r\n")
            self._transport.close()
        elif action.drop is not None:
            sever(self._transport, reset=action.reset)
