"""Live events: what a client is told over SSE. Every event holds the whole of what it tells of,
so one that was missed matters only until the next."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from mirsal_runtime.tasks import cancel
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from gateway.auth.schemas import Principal
from gateway.paging import Cursor, read_cursor
from gateway.problems import Problem
from gateway.runs.schemas import FINAL_RUNS, RunChange
from gateway.runs.service import Runs
from gateway.runs.store import RevisedRun
from gateway.store import DatabaseUnavailable
from gateway.watching.feed import DEEP, MOST_PENDING, ChangeFeed, News
from gateway.watching.lookout import Lookout, NoPlace
from gateway.watching.store import Subject

REREAD_SECONDS: Final = 5.0
AWAY_SECONDS: Final = 1.0
PING_SECONDS: Final = 15
CHECK_SECONDS: Final = 1.0
SEND_SECONDS: Final = 30.0
"""A client that reads nothing for so long is let go."""
RETRY_MILLISECONDS: Final = 1_000
LONGEST_GAP: Final = timedelta(hours=1)
"""Who comes back later is told to read everything anew."""


class LiveStream(EventSourceResponse):
    """A stream that holds one of the lookout's places as long as it is open.

    It ends once `is_allowed` does not hold any more, which is asked every second.
    """

    def __init__(
        self,
        lookout: Lookout,
        events: AsyncGenerator[ServerSentEvent, None],
        is_allowed: Callable[[], Awaitable[bool]],
    ) -> None:
        told = _tell_while(is_allowed, events)
        super().__init__(told, ping=PING_SECONDS, sep="\n", send_timeout=SEND_SECONDS)
        self._lookout = lookout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it. Whoever finds no place gets a 503."""
        try:
            with self._lookout.take_place():
                await super().__call__(scope, receive, send)
        except NoPlace as problem:
            await problem.to_response()(scope, receive, send)
        except SendTimeoutError:
            return


def is_told_all(last_event_id: str, first: RevisedRun) -> bool:
    """Whether a client that comes back knows how the run ended."""
    return first.view.status in FINAL_RUNS and last_event_id == str(first.revision)


async def tell_run(
    runs: Runs, caller: Principal, first: RevisedRun, last_event_id: str
) -> AsyncGenerator[ServerSentEvent, None]:
    """The run, at once and whenever it has changed, until it is over.

    An event's id is the run's revision: a client that comes back with it is told nothing that it
    knows already.
    """
    yield ServerSentEvent(retry=RETRY_MILLISECONDS)
    run, told = first, last_event_id
    while True:
        if str(run.revision) != told:
            told = str(run.revision)
            yield ServerSentEvent(run.view.to_json().decode(), event="run", id=told)
        if run.view.status in FINAL_RUNS:
            return
        known = run.revision
        await runs.lookout.wait(
            Subject("run", run.view.run_id),
            lambda sight: sight.revision != known,  # noqa: B023 - asked in this round only
            REREAD_SECONDS,
        )
        if runs.lookout.is_closed:
            return
        try:
            run = await runs.read_revised(caller, run.view.run_id)
        except DatabaseUnavailable:
            await asyncio.sleep(AWAY_SECONDS)
        except Problem:
            # Issued, and never came to be.
            return


async def tell_changes(
    feed: ChangeFeed, caller: Principal, last_event_id: str
) -> AsyncGenerator[ServerSentEvent, None]:
    """Every run that changes, as it is then, without its executions; of the workflows granted.

    `gap` says that there was more than is told. A run whose change was told may be told again,
    with the same revision, to a client that comes back.
    """
    yield ServerSentEvent(retry=RETRY_MILLISECONDS)
    now = datetime.now(UTC)
    since = _read_moment(last_event_id, now)
    revisions: dict[str, int] = {}
    with feed.subscribe(caller) as subscription:
        news = await _catch_up(feed, caller, since or now)
        if since is None:
            news = news._replace(has_gap=True)
        while not feed.is_closed:
            if news.has_gap:
                revisions.clear()
                yield ServerSentEvent("{}", event="gap", id=Cursor(now, "").to_text())
            for change in news.changes:
                if revisions.get(change.run_id, 0) < change.revision:
                    yield _event_of(change)
            if len(revisions) > MOST_PENDING:
                revisions.clear()
            revisions |= {each.run_id: each.revision for each in news.changes}
            news = await subscription.take()


async def _tell_while(
    is_allowed: Callable[[], Awaitable[bool]], events: AsyncGenerator[ServerSentEvent, None]
) -> AsyncGenerator[ServerSentEvent, None]:
    coming = asyncio.ensure_future(anext(events, None))
    checked = time.monotonic()
    try:
        while True:
            await asyncio.wait({coming}, timeout=CHECK_SECONDS)
            if time.monotonic() - checked > CHECK_SECONDS or not coming.done():
                if not await is_allowed():
                    return
                checked = time.monotonic()
            if coming.done():
                event = coming.result()
                if event is None:
                    return
                yield event
                coming = asyncio.ensure_future(anext(events, None))
    finally:
        await cancel(coming)
        await events.aclose()


async def _catch_up(feed: ChangeFeed, caller: Principal, since: datetime) -> News:
    after = since - DEEP
    while not feed.is_closed:
        try:
            found = await feed.store.find_changes_since(caller.workspace, after, MOST_PENDING + 1)
        except DatabaseUnavailable:
            await asyncio.sleep(AWAY_SECONDS)
            continue
        if len(found) > MOST_PENDING:
            return News([], has_gap=True)
        told = [each.run for each in reversed(found) if caller.may_use(each.run.workflow_id)]
        return News(told, has_gap=False)
    return News([], has_gap=False)


def _event_of(change: RunChange) -> ServerSentEvent:
    place = Cursor(change.updated_at, change.run_id)
    return ServerSentEvent(change.to_json().decode(), event="run", id=place.to_text())


def _read_moment(last_event_id: str, now: datetime) -> datetime | None:
    """The moment of an event; now for none, and None for one that is too old or not ours."""
    if not last_event_id:
        return now
    try:
        at = read_cursor(last_event_id).at
    except Problem:
        return None
    return at if at > now - LONGEST_GAP else None
