"""Makes one attempt: parameters, the connector's function, and what its end means."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple

import structlog
from mirsal_contracts.credentials import CHECK_CONNECTION, ConnectionCheck
from mirsal_contracts.leads import CONFIG
from mirsal_contracts.topics import COMMANDS
from pydantic import BaseModel, ValidationError

from mirsal_runtime import statuses, telemetry
from mirsal_runtime.attempt_spans import (
    begin_attempt,
    end_attempt,
    forget_attempt,
    lose_attempt,
)
from mirsal_runtime.claims import ClaimDesk, LiveAttempt, Refusal
from mirsal_runtime.connector import Connector, ParamsT, ResourceT, ResultT
from mirsal_runtime.daily_cap import DailyCap
from mirsal_runtime.failpoints import pass_by
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from mirsal_runtime.statuses import Ending
from mirsal_runtime.suppressions import Suppressions
from mirsal_runtime.vault.lead_keys import (
    LEAD_ERASED,
    LEAD_UNREADABLE,
    KeysAway,
    LeadKeys,
    Lost,
)
from mirsal_runtime.vault.personal import KeyName, LeadKey, key_of_hidden
from mirsal_runtime.vault.sealing import SealBroken
from mirsal_runtime.work import Work

AWAY_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Made(NamedTuple):
    """An attempt that ended, or why it was not begun. `claimed`: the ledger has a row for it."""

    ending: Ending | None
    refusal: Refusal | None = None
    claimed: bool = False


class AttemptMaker(Generic[ParamsT, ResultT, ResourceT]):
    """Makes the attempts of one connector, with the resource that they share."""

    def __init__(
        self,
        connector: Connector[ParamsT, ResultT, ResourceT],
        resource: ResourceT,
        desk: ClaimDesk,
        keys: LeadKeys,
        cap: DailyCap | None = None,
        suppressions: Suppressions | None = None,
    ) -> None:
        self._connector = connector
        self._resource = resource
        self._desk = desk
        self._keys = keys
        self._cap = cap
        self._suppressions = suppressions
        self._live: dict[Work, LiveAttempt] = {}
        self._topic = COMMANDS[connector.name].name

    async def make(self, work: Work) -> Made:
        """Make the attempt; never raises but for a cancellation."""
        started_at = datetime.now(UTC)
        with begin_attempt(work, self._topic) as span:
            if self._desk.seems_expired(work):
                made = await self._expire(work)
            else:
                made = await self._call(work, span.traceparent, started_at)
            if made.ending is not None:
                end_attempt(span, work, self._topic, made.ending, started_at)
            elif made.refusal is not None and made.refusal.kind == "lost":
                # Whoever took the claim over has told of this attempt.
                lose_attempt(span)
            else:
                forget_attempt(span, work)
            return made

    def stop_all(self) -> None:
        """End what is under way: the process ends."""
        for attempt in self._live.values():
            attempt.stop()

    async def _expire(self, work: Work) -> Made:
        """Let the ledger say whether it is too late, without making anything ready."""
        answer = await self._desk.claim(work)
        if not isinstance(answer, Refusal):
            # Our idea of the ledger's clock was wrong: nothing was begun, the next try may.
            work.asked = True
            return Made(None, Refusal("late"))
        return Made(None, answer)

    async def _call(self, work: Work, traceparent: str, started_at: datetime) -> Made:
        try:
            await open_config(work, self._keys)
        except AttemptFailure as failure:
            return Made(statuses.fail(work.command, failure, started_at))
        command = work.command
        check = self._connector.check if CHECK_CONNECTION in command.config else None
        model = self._connector.params if check is None else ConnectionCheck
        try:
            params: Any = model.model_validate(command.config)
        except ValidationError as error:
            return Made(
                statuses.fail(
                    command,
                    PermanentError("invalid_params", telemetry.faults_of(error)),
                    started_at,
                    work.seal,
                )
            )
        timer = asyncio.timeout(command.timeout_seconds)
        attempt = LiveAttempt(work, traceparent, timer, self._desk)
        self._live[work] = attempt
        try:
            async with timer:
                if check is None:
                    result = await self._send(params, attempt)
                else:
                    result = await check(params, attempt, self._resource)
        except Exception as error:  # noqa: BLE001 - whatever a connector raises has a meaning
            return self._made_of(error, attempt, timer, started_at, work.seal)
        finally:
            del self._live[work]
        return self._made_of_result(result, attempt, started_at, work.seal)

    async def _send(self, params: ParamsT, attempt: LiveAttempt) -> BaseModel:
        """Send, where the workspace may write to them and its day has room. What may have had an
        effect stays counted."""
        await self._keep_to_lists(params, attempt)
        send, count = self._connector.send, self._connector.count_recipients
        if count is None or self._cap is None:
            return await send(params, attempt, self._resource)
        taken = await self._cap.take(attempt.command.workspace, count(params))
        try:
            return await send(params, attempt, self._resource)
        except Exception as error:
            failure = failure_of(error, claimed=attempt.claimed, timed_out=False)
            if taken is not None and not isinstance(failure, OutcomeUnknown):
                await self._cap.give_back(taken)
            raise

    async def _keep_to_lists(self, params: ParamsT, attempt: LiveAttempt) -> None:
        """Raises where the workspace may not write to a recipient, or nobody can tell."""
        find, lists = self._connector.recipients, self._suppressions
        command = attempt.command
        if find is None or lists is None or not await lists.has_rules(command.workspace):
            return
        await lists.check(command.workspace, await find(params, command, self._resource))

    def _made_of_result(
        self, result: BaseModel, attempt: LiveAttempt, started_at: datetime, seal: LeadKey | None
    ) -> Made:
        if attempt.refusal is not None:
            return Made(None, attempt.refusal)
        if not attempt.claimed:
            failure = OutcomeUnknown(
                "not_claimed", "The connector returned without claiming: that is a fault in it."
            )
            return Made(statuses.fail(attempt.command, failure, started_at))
        pass_by("after_call")
        repeatable = self._connector.repeatable
        ending = statuses.succeed(attempt.command, result, started_at, seal, repeatable=repeatable)
        return Made(ending, claimed=not repeatable)

    def _made_of(
        self,
        error: Exception,
        attempt: LiveAttempt,
        timer: asyncio.Timeout,
        started_at: datetime,
        seal: LeadKey | None,
    ) -> Made:
        if attempt.refusal is not None:
            return Made(None, attempt.refusal)
        if attempt.stopped and (not attempt.claimed or self._connector.repeatable):
            return Made(None, Refusal("dropped"))
        if attempt.claimed:
            pass_by("after_call")
        if not isinstance(error, AttemptFailure) and not timer.expired():
            log_fault(error, self._connector.name)
        failure = failure_of(error, claimed=attempt.claimed, timed_out=timer.expired())
        if attempt.claimed and self._connector.repeatable and isinstance(failure, OutcomeUnknown):
            failure = RetryableError(failure.code, failure.message, details=failure.details)
        if CHECK_CONNECTION in attempt.command.config:
            # Its answer is that it does not work: nothing is tried again, nobody has to act.
            failure = PermanentError(failure.code, failure.message, details=failure.details)
        claimed = attempt.claimed and not self._connector.repeatable
        return Made(statuses.fail(attempt.command, failure, started_at, seal), claimed=claimed)


async def open_config(work: Work, keys: LeadKeys) -> None:
    """Have the config of a command in the open; of one that was sealed its key is kept, too.

    Raises `AttemptFailure` where it does not open: `lead_erased` for good.
    """
    command = work.command
    key_id = key_of_hidden(command.config)
    if key_id is None:
        return
    try:
        key = await keys.find_one(KeyName(command.workspace, key_id))
    except KeysAway as error:
        log.warning("lead_keys_away", error=error)
        raise ThrottledError(
            "lead_keys_unavailable",
            "what opens the command cannot be had at the moment",
            retry_after=AWAY_SECONDS,
        ) from None
    if isinstance(key, Lost):
        if key.code == LEAD_ERASED:
            raise PermanentError(*key)
        raise ActionRequired(*key)
    try:
        config = key.reveal(command.config, CONFIG, command.command_id)
    except SealBroken:
        raise ActionRequired(LEAD_UNREADABLE, "the command was not sealed as it is") from None
    work.command, work.seal = command.model_copy(update={"config": config}), key


def failure_of(error: Exception, *, claimed: bool, timed_out: bool) -> AttemptFailure:
    """What a connector's exception says of the effect, before and after its claim.

    The words of an exception that is not of `mirsal_runtime.failures` stay out: they may hold
    secrets and personal data.
    """
    if isinstance(error, OutcomeUnknown) and not claimed:
        return RetryableError(error.code, error.message, details=error.details)
    if isinstance(error, AttemptFailure):
        return error
    kind = type(error).__name__
    timed_out = timed_out or isinstance(error, TimeoutError)
    if claimed and timed_out:
        return OutcomeUnknown("timeout", "The provider did not answer in time.")
    if timed_out:
        return RetryableError("timeout", "The attempt was not ready to be sent in time.")
    if claimed:
        return OutcomeUnknown("connector_error", f"The connector failed in its call: {kind}.")
    return RetryableError("connector_error", f"The connector failed before its call: {kind}.")


def log_fault(error: BaseException, connector: str) -> None:
    """Log where an exception nobody foresaw came from; not its words."""
    log.error("connector_fault", connector=connector, exc_info=error)
