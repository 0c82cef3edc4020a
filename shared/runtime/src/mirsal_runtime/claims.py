"""The claim: what a connector's function awaits before it writes, with all its guards."""

import asyncio
import time
from typing import Literal, NamedTuple, TypeAlias

from mirsal_contracts.commands import RunNode

from mirsal_runtime.attempt import ClaimRefused
from mirsal_runtime.failpoints import pass_by
from mirsal_runtime.journal import Journal
from mirsal_runtime.ledger import Claim, Ledger, LedgerUnavailable, Orphan, Standing
from mirsal_runtime.presence import Presence
from mirsal_runtime.work import Work

LEASE_MARGIN_SECONDS = 2.0
# What was made ready goes stale while a claim waits: then it is made ready anew.
PATIENCE_SECONDS = 2.0
# With less than this part of its time left, a call is not begun.
LEAST_LEFT = 0.5

RefusalKind: TypeAlias = Literal["standing", "lost", "away", "dropped", "late"]


class Refusal(NamedTuple):
    """Why an attempt was not begun.

    `standing`: the ledger said no. `lost`: it has been taken over, perhaps from this process,
    which had not begun. `away`: the ledger did not answer. `late`: its answer came too late to be
    worth anything. `dropped`: the command is not this process's any more. In the last three the
    claim may be this process's, and another try finds it again.
    """

    kind: RefusalKind
    standing: Standing | None = None


class ClaimDesk:
    """Asks the ledger for one connector's claims.

    A connector whose effect may be repeated claims nothing: only the deadline is looked at.
    """

    def __init__(
        self, ledger: Ledger, journal: Journal, presence: Presence, *, repeatable: bool
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._presence = presence
        self._repeatable = repeatable

    async def claim(self, work: Work) -> float | Refusal:
        """Seconds left for the call, from now; or why it must not be made."""
        if work.dropped:
            return Refusal("dropped")
        if self._repeatable:
            if self.seems_expired(work):
                return Refusal("standing", Standing("expired"))
            return work.command.timeout_seconds
        begun, asked_before = monotonic(), work.asked
        standing = await self._ask(work)
        if standing is None:
            return Refusal("away")
        if standing.verdict != "granted":
            work.asked = False
            self._journal.settled(work.token)
            lost = asked_before and standing.state == "unconfirmed"
            return Refusal("lost" if lost else "standing", standing)
        return self._begin(work, begun)

    async def release(self, work: Work) -> None:
        """Give back a claim that was not begun. Raises `LedgerUnavailable`."""
        claim = Orphan(
            work.key, work.command.attempt, work.token, self._ledger.holder, "free", None
        )
        await self._ledger.resolve([claim])
        work.asked = False
        self._journal.settled(work.token)

    def seems_expired(self, work: Work) -> bool:
        """Whether the deadline has passed, by about the ledger's clock."""
        now = self._presence.now()
        return now is not None and work.command.deadline <= now

    async def _ask(self, work: Work) -> Standing | None:
        command = work.command
        lease = command.timeout_seconds + LEASE_MARGIN_SECONDS
        claim = Claim(
            work.key,
            command.attempt,
            work.token,
            command.deadline,
            lease,
            work.reply_context,
            command.workspace,
        )
        try:
            self._journal.claiming(claim)
            pass_by("before_claim")
            work.asked = True
            standing = await self._ledger.claim(claim)
        except (LedgerUnavailable, OSError):
            return None
        pass_by("after_claim")
        return standing

    def _begin(self, work: Work, begun: float) -> float | Refusal:
        """The last moment: from here the effect may happen.

        The time left counts from before the ledger was asked, so that it ends before the lease
        does, however long this process was paused meanwhile.
        """
        if work.dropped:
            return Refusal("dropped")
        timeout = work.command.timeout_seconds
        if monotonic() - begun > min(PATIENCE_SECONDS, LEAST_LEFT * timeout):
            return Refusal("late")
        try:
            self._journal.writing(work.token)
        except OSError:
            return Refusal("away")
        pass_by("before_call")
        left = begun + timeout - monotonic()
        if left < LEAST_LEFT * timeout:
            return Refusal("late")
        work.asked = False
        return left


class LiveAttempt:
    """An `Attempt` of a worker. `timer` ends the call; it is off while the ledger is asked."""

    def __init__(
        self, work: Work, traceparent: str, timer: asyncio.Timeout, desk: ClaimDesk
    ) -> None:
        self._work = work
        self._traceparent = traceparent
        self._timer = timer
        self._desk = desk
        self._asked = False
        self.claimed = False
        self.stopped = False
        self.refusal: Refusal | None = None

    @property
    def command(self) -> RunNode:
        """See `Attempt.command`."""
        return self._work.command

    @property
    def traceparent(self) -> str:
        """See `Attempt.traceparent`."""
        return self._traceparent

    async def claim(self) -> float:
        """See `Attempt.claim`."""
        if self._asked:
            raise RuntimeError("an attempt is claimed once")
        self._asked = True
        self._timer.reschedule(None)
        answer = Refusal("dropped") if self.stopped else await self._desk.claim(self._work)
        if self.stopped and not isinstance(answer, Refusal):
            self._work.asked = True
            answer = Refusal("dropped")
        if isinstance(answer, Refusal):
            self.refusal = answer
            raise ClaimRefused(answer.kind)
        self.claimed = True
        self._timer.reschedule(asyncio.get_running_loop().time() + answer)
        return answer

    def stop(self) -> None:
        """End the call, or what comes before it, now: the process ends."""
        self.stopped = True
        # One whose time is just over is being ended already.
        if self._timer.when() is not None and not self._timer.expired():
            self._timer.reschedule(asyncio.get_running_loop().time())


def monotonic() -> float:
    """Seconds that go on while the process is stopped, and while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
