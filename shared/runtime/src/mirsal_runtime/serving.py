"""Brings one command to its end: attempt, outcome, status, and what a refused claim asks for."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias

import structlog

from mirsal_runtime import metrics, statuses, telemetry
from mirsal_runtime.attempt_spans import CLAIM_LOST, remember_attempt
from mirsal_runtime.attempts import Made
from mirsal_runtime.claims import ClaimDesk
from mirsal_runtime.failures import RetryableError, ThrottledError
from mirsal_runtime.ledger import Standing
from mirsal_runtime.presence import Presence
from mirsal_runtime.reporting import LONGEST_PAUSE, SHORTEST_PAUSE, Reporter, keep_trying
from mirsal_runtime.statuses import Ending
from mirsal_runtime.telemetry import BurstLog, pseudonyms, trace_id_of
from mirsal_runtime.work import Work

Course: TypeAlias = Literal["done", "held", "dropped"]
"""`done`: its offset may pass. `held`: another has it, set it aside. `dropped`: not ours now."""

log = structlog.get_logger(__name__)
successes = BurstLog(log)


class Maker(Protocol):
    """What makes attempts; `mirsal_runtime.attempts.AttemptMaker` does."""

    async def make(self, work: Work) -> Made:
        """Make one attempt."""


class Server:
    """Serves the commands of one connector. Never gives up on one that has begun."""

    def __init__(
        self,
        connector: str,
        maker: Maker,
        desk: ClaimDesk,
        reporter: Reporter,
        presence: Presence,
    ) -> None:
        self._connector = connector
        self._maker = maker
        self._desk = desk
        self._reporter = reporter
        self._presence = presence
        self._seconds = metrics.ATTEMPT_SECONDS.labels(connector)

    async def serve(self, work: Work) -> Course:
        """Make the command's attempt and see its end home."""
        pause = SHORTEST_PAUSE
        while True:
            await self._presence.until_answers()
            begun = time.monotonic()
            made = await self._maker.make(work)
            self._seconds.observe(
                time.monotonic() - begun, telemetry.exemplar_of(work.reply_context)
            )
            course = await self._course_of(work, made)
            if course is not None:
                return course
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def send_back(self, work: Work, seconds: float) -> Course:
        """Answer that the account has more waiting than its share: come back later."""
        failure = ThrottledError(
            "account_share",
            "This workspace has more commands waiting than its share while others wait too.",
            retry_after=seconds,
        )
        ending = statuses.fail(work.command, failure, datetime.now(UTC))
        standing = await self._report(work, ending, claimed=False)
        return "done" if standing is None else await self.follow(work, standing) or "held"

    async def follow(self, work: Work, standing: Standing) -> Course | None:
        """What a standing other than `granted` asks for; None: to try again."""
        now = datetime.now(UTC)
        match standing.verdict:
            case "remembered" if standing.state is not None:
                remember_attempt(work, standing.attempt)
                ending = statuses.remembered(work.command, standing.state, standing.status, now)
                await self._reporter.send(work, ending)
                self._tell(work, ending)
                return "done"
            case "expired":
                refused = await self._report(
                    work, statuses.expire(work.command, now), claimed=False
                )
                return "done" if refused is None else await self.follow(work, refused)
            case "superseded":
                log.info("superseded", execution_id=work.command.execution_id)
                return "done"
            case "held":
                return "held"
            case _:
                return None

    async def _course_of(self, work: Work, made: Made) -> Course | None:
        if made.ending is not None:
            standing = await self._report(work, made.ending, claimed=made.claimed)
            return "done" if standing is None else await self.follow(work, standing)
        refusal = made.refusal
        if refusal is not None and refusal.kind == "lost":
            # Evidence, if the claim was ours: what was thought unconfirmed was never begun.
            failure = RetryableError(CLAIM_LOST, "The worker slept before it could begin.")
            ending = statuses.fail(work.command, failure, datetime.now(UTC))
            standing = await self._report(work, ending, claimed=False)
            return "done" if standing is None else await self.follow(work, standing)
        if refusal is not None and refusal.standing is not None:
            return await self.follow(work, refusal.standing)
        if refusal is not None and refusal.kind == "dropped":
            if work.asked:
                await keep_trying(lambda: self._desk.release(work))
            return "dropped"
        return None

    async def _report(self, work: Work, ending: Ending, *, claimed: bool) -> Standing | None:
        standing = await self._reporter.report(work, ending, claimed=claimed)
        if standing is None:
            self._tell(work, ending)
        return standing

    def _tell(self, work: Work, ending: Ending) -> None:
        command = work.command
        workspace = metrics.WORKSPACE(command.workspace)
        metrics.child_of(metrics.ATTEMPT_OUTCOMES, self._connector, ending.label, workspace).inc()
        if ending.label == "throttled":
            metrics.PROVIDER_THROTTLED.labels(self._connector, ending.code, workspace).inc()
        (successes if ending.state == "succeeded" else log).info(
            "attempt_ended",
            outcome=ending.label,
            code=ending.code,
            workspace=command.workspace,
            run_id=command.run_id,
            execution_id=command.execution_id,
            attempt=command.attempt,
            lead=pseudonyms.of_lead(command.workspace, command.lead_id),
            trace_id=trace_id_of(work.traceparent),
        )
