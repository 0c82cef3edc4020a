"""Puts an attempt's end where it belongs: into the ledger, and to the orchestrator.

Nothing here gives up: while PostgreSQL or Kafka is away the same is tried again, in place.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import structlog

from mirsal_runtime.batching import Batcher
from mirsal_runtime.broker import (
    MAX_MESSAGE_BYTES,
    BrokerUnavailable,
    MessageTooLarge,
    Outgoing,
    size_of,
)
from mirsal_runtime.complaints import Complaint
from mirsal_runtime.failpoints import pass_by
from mirsal_runtime.journal import Journal
from mirsal_runtime.ledger import Ledger, LedgerUnavailable, Outcome, Standing
from mirsal_runtime.statuses import Ending, status_message
from mirsal_runtime.work import Work

SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

AnswerT = TypeVar("AnswerT")

log = structlog.get_logger(__name__)
_still_trying = Complaint("still_trying")


class Sender(Protocol):
    """What sends messages; `mirsal_runtime.broker.Publisher` does."""

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Send all and wait until Kafka has all. Raises `BrokerUnavailable`."""


class Outbox:
    """Sends messages for many at once; an answer means that Kafka has it."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._messages = Batcher(self._send_all, limit=500, parallel=2)

    async def send(self, message: Outgoing) -> None:
        """Returns once Kafka has the message, however long that takes.

        Raises `MessageTooLarge` for one that Kafka will never take.
        """
        if size_of(message) > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(f"{size_of(message)} bytes for {message.topic}")
        await keep_trying(lambda: self._messages.submit(message))

    async def _send_all(self, messages: Sequence[Outgoing]) -> Sequence[None]:
        await self._sender.send(messages)
        return [None] * len(messages)


class Reporter:
    """Settles attempts and sends their statuses."""

    def __init__(self, ledger: Ledger, journal: Journal, outbox: Outbox, source: str) -> None:
        self._ledger = ledger
        self._journal = journal
        self._outbox = outbox
        self._source = source

    async def report(self, work: Work, ending: Ending, *, claimed: bool) -> Standing | None:
        """Write the outcome and send the status; None when both are done.

        What was claimed is true whatever the ledger says, so both go out together. Otherwise the
        ledger is asked first: where the outcome is not this attempt's to write, nothing is sent
        and the answer is how the row stands.
        """
        if claimed:
            self._note(work, ending)
            await asyncio.gather(self._settle(work, ending), self.send(work, ending))
            return None
        standing = await self._settle(work, ending)
        if standing.verdict != "granted":
            return standing
        await self.send(work, ending)
        return None

    async def send(self, work: Work, ending: Ending) -> None:
        """Send the status only."""
        await self._outbox.send(
            status_message(
                work.command,
                ending.state,
                ending.status,
                source=self._source,
                traceparent=work.reply_context,
            )
        )
        pass_by("after_status")

    async def _settle(self, work: Work, ending: Ending) -> Standing:
        outcome = Outcome(
            work.key,
            work.command.attempt,
            work.token,
            ending.state,
            ending.status,
            work.reply_context,
            work.command.workspace,
        )
        standing = await keep_trying(lambda: self._ledger.settle(outcome))
        while standing.verdict == "vacant":
            standing = await keep_trying(lambda: self._ledger.settle(outcome))
        pass_by("after_outcome")
        work.asked = False
        self._journal.settled(work.token)
        return standing

    def _note(self, work: Work, ending: Ending) -> None:
        try:
            self._journal.answered(work.token, ending.state, ending.status, work.reply_context)
        except OSError as error:
            log.warning("journal_not_written", error=error)
        pass_by("after_answer")


async def keep_trying(call: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    """Call until PostgreSQL or Kafka answers, with growing pauses."""
    pause = SHORTEST_PAUSE
    while True:
        try:
            return await call()
        except (LedgerUnavailable, BrokerUnavailable) as error:
            if pause >= LONGEST_PAUSE:
                _still_trying.say(error=error)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            pause = min(2 * pause, LONGEST_PAUSE)
