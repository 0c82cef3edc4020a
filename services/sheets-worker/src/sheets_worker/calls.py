"""Calls to Google as its quota lets them: counted before, and its refusals believed."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mirsal_runtime.failures import AttemptFailure

from sheets_worker.errors import CallKind, Code, Throttled
from sheets_worker.google import SheetsApi
from sheets_worker.quota import Quota

LONGEST_PAUSE = 60.0
# After hours of refusals 2.0 ** n would be more than a float holds, and raise.
MOST_DOUBLINGS = 10

AnswerT = TypeVar("AnswerT")


class Calls:
    """All calls of this process by one account. A 429 pauses its kind, longer each time.

    Calls that are under way together are refused together: that is one refusal, or a moment's
    would close the account for the longest pause.
    """

    def __init__(self, api: SheetsApi, quota: Quota) -> None:
        self.pace = 0.0
        """Seconds that should lie between writes, as the quota stands."""
        self._api = api
        self._quota = quota
        self._closed_until: dict[CallKind, float] = {"read": 0.0, "write": 0.0}
        self._refusals: dict[CallKind, int] = {"read": 0, "write": 0}
        self._refused_at: dict[CallKind, float] = {"read": 0.0, "write": 0.0}

    async def check(self) -> str:
        """See `SheetsApi.check`; it counts for no quota."""
        return await self._api.check()

    async def reserve(self, kind: CallKind) -> None:
        """Have one call counted. Raises `Throttled` when there is none to be had now."""
        wait = self._closed_until[kind] - time.monotonic()
        if wait <= 0:
            grant = await self._quota.take(kind, await self._api.find_identity())
            wait = grant.wait
            if kind == "write":
                self.pace = grant.pace
        if wait > 0:
            raise Throttled(Code.QUOTA, f"Google's quota of {kind}s is used up", retry_after=wait)

    async def read(self, do: Callable[[Any], AnswerT], *, traces: Sequence[str] = ()) -> AnswerT:
        """A call that changes nothing. Raises `AttemptFailure`."""
        await self.reserve("read")
        return await self._call("read", do, traces, None)

    async def write(
        self, do: Callable[[Any], AnswerT], *, traces: Sequence[str] = (), not_after: float
    ) -> AnswerT:
        """A call that was reserved before; it does not begin after `not_after` (monotonic)."""
        return await self._call("write", do, traces, not_after)

    async def _call(
        self,
        kind: CallKind,
        do: Callable[[Any], AnswerT],
        traces: Sequence[str],
        not_after: float | None,
    ) -> AnswerT:
        begun = time.monotonic()
        try:
            answer = await self._api.call(kind, do, traces=traces, not_after=not_after)
        except Throttled as refusal:
            raise await self._slow_down(kind, refusal, begun) from None
        self._refusals[kind] = 0
        return answer

    async def _slow_down(self, kind: CallKind, refusal: Throttled, begun: float) -> AttemptFailure:
        if begun >= self._refused_at[kind]:
            self._refusals[kind] += 1
            self._refused_at[kind] = time.monotonic()
        if refusal.limit is not None:
            await self._quota.learn(refusal.limit, await self._api.find_identity())
        doublings = min(max(0, self._refusals[kind] - 1), MOST_DOUBLINGS)
        pause = min(2.0**doublings, LONGEST_PAUSE)
        # Workers that were refused together should not come back together.
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._closed_until[kind] = time.monotonic() + pause
        return Throttled(Code.QUOTA, refusal.message, retry_after=pause, details=refusal.details)
