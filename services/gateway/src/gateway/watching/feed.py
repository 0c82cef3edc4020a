"""What changes in whole workspaces: one statement for all who have such a stream open."""

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from gateway.auth.schemas import Principal
from gateway.runs.schemas import RunChange
from gateway.store import DatabaseUnavailable
from gateway.watching.store import Change

PAUSE_SECONDS: Final = 0.25
OVERLAP: Final = timedelta(seconds=1)
DEEP_EVERY_SECONDS: Final = 5.0
DEEP: Final = timedelta(seconds=15)
"""A write shows its changes some time after the moment that it gives them: a transaction of the
orchestrator's takes 10 s at most. Every few seconds a look goes this far back."""
MOST_CHANGES: Final = 10_000
MOST_PENDING: Final = 2_000


class ChangeStore(Protocol):
    """Reads changes. Raises `DatabaseUnavailable`."""

    async def find_changes(
        self, workspaces: Collection[str], within: timedelta, limit: int
    ) -> list[Change]: ...
    async def find_changes_since(
        self, workspace: str, since: datetime, limit: int
    ) -> list[Change]: ...


class News(NamedTuple):
    """Runs as they are now, the oldest change first. `has_gap`: there were more than are told."""

    changes: list[RunChange]
    has_gap: bool


class Subscription:
    """What one stream has not told yet: each run once, as it is now."""

    def __init__(self, caller: Principal) -> None:
        self.caller = caller
        self._pending: dict[str, RunChange] = {}
        self._has_gap = False
        self._news = asyncio.Event()

    def add(self, change: RunChange) -> None:
        """A run of the workspace has changed."""
        if not self.caller.may_use(change.workflow_id):
            return
        self._pending.pop(change.run_id, None)
        self._pending[change.run_id] = change
        if len(self._pending) > MOST_PENDING:
            self.lose()
        self._news.set()

    def lose(self) -> None:
        """There was more than can be told."""
        self._pending.clear()
        self._has_gap = True
        self._news.set()

    def wake(self) -> None:
        """Have `take` return."""
        self._news.set()

    async def take(self) -> News:
        """What has changed since the last call; waits until something has."""
        await self._news.wait()
        self._news.clear()
        news = News(list(self._pending.values()), self._has_gap)
        self._pending, self._has_gap = {}, False
        return news


class ChangeFeed:
    """Looks for changed runs while anybody is subscribed."""

    def __init__(self, store: ChangeStore) -> None:
        self.store = store
        self._subscriptions: set[Subscription] = set()
        self._task: asyncio.Task[None] | None = None
        self._told: dict[tuple[str, int], datetime] = {}
        self.is_closed = False

    @contextmanager
    def subscribe(self, caller: Principal) -> Iterator[Subscription]:
        """A subscription to all that changes from now on and that the caller may see.

        What changed before is the subscriber's to find out, once it is subscribed.
        """
        subscription = Subscription(caller)
        self._subscriptions.add(subscription)
        if self._task is None and not self.is_closed:
            self._task = asyncio.create_task(self._keep_looking())
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Let everybody go: the process stops."""
        self.is_closed = True
        if self._task is not None:
            self._task.cancel()
        for subscription in self._subscriptions:
            subscription.wake()

    async def _keep_looking(self) -> None:
        looked = deep = time.monotonic()
        try:
            while self._subscriptions:
                start = time.monotonic()
                within = timedelta(seconds=start - looked) + OVERLAP
                is_deep = start - deep > DEEP_EVERY_SECONDS
                if await self._look(max(within, DEEP) if is_deep else within):
                    looked, deep = start, start if is_deep else deep
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._task = None
            self._told.clear()

    async def _look(self, within: timedelta) -> bool:
        """Tell what has changed; whether PostgreSQL answered."""
        workspaces = {each.caller.workspace for each in self._subscriptions}
        try:
            changes = await self.store.find_changes(workspaces, within, MOST_CHANGES)
        except DatabaseUnavailable:
            return False
        if len(changes) == MOST_CHANGES:
            for subscription in self._subscriptions:
                subscription.lose()
            return True
        for change in reversed(changes):
            mark = (change.run.run_id, change.run.revision)
            if mark not in self._told:
                self._told[mark] = change.run.updated_at
                for subscription in self._subscriptions:
                    if subscription.caller.workspace == change.workspace:
                        subscription.add(change.run)
        self._forget()
        return True

    def _forget(self) -> None:
        """Drop what no look can show again."""
        if len(self._told) > MOST_CHANGES:
            newest = max(self._told.values())
            self._told = {mark: at for mark, at in self._told.items() if newest - at < DEEP + DEEP}
