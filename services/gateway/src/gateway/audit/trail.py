"""Recording acts and keeping the chain: what the rest of the gateway knows of the audit log."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from mirsal_runtime.batching import Batcher

from gateway.audit.chain import Head
from gateway.audit.entries import Action, Entry
from gateway.audit.origins import origin_of
from gateway.audit.refusals import Refusals
from gateway.audit.schemas import AuditPage, AuditRow
from gateway.audit.store import AuditFilter, AuditStore
from gateway.auth.schemas import Principal
from gateway.paging import Asked, Cursor, cut_page
from gateway.store import DatabaseUnavailable

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

SEAL_SECONDS: Final = 0.25
"""How long an entry waits at most for its place in the chain, while the database answers."""

log = structlog.get_logger(__name__)


def log_head(workspace: str, head: Head) -> None:
    """Logs go elsewhere: that a chain was cut off or written anew here shows by them."""
    log.info("audit_head", workspace=workspace, seq=head.seq, head=head.hash.hex())


class Trail:
    """Records what changes nothing in PostgreSQL by itself. Raises `DatabaseUnavailable`.

    What does change something there is recorded by `gateway.audit.store.change`.
    """

    def __init__(self, store: AuditStore) -> None:
        self._store = store
        self._entries: Batcher[Entry, None] = Batcher(store.record_many)
        self._refusals = Refusals()
        self._telling: set[asyncio.Task[None]] = set()

    async def record(self, entry: Entry, *, until: float | None = None) -> None:
        """Returns once the entry is kept; calls at the same time share a statement.

        What is asked of others is recorded first, since nobody can take back what Kafka has.
        `until` is the event loop's time at which the caller needs an answer.
        """
        try:
            async with asyncio.timeout_at(until):
                await self._entries.submit(entry)
        except TimeoutError as error:
            raise DatabaseUnavailable("PostgreSQL did not answer in time") from error

    def tell_refusal(self, caller: Principal, route: str) -> None:
        """A caller may not do what was asked for; nobody waits until that is kept."""
        entry = self._refusals.describe(origin_of(caller), route)
        if entry is not None:
            task = asyncio.create_task(self._record_if_possible(entry))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _record_if_possible(self, entry: Entry) -> None:
        with suppress(DatabaseUnavailable):
            await self.record(entry)

    async def keep_chain(self) -> None:
        """Put entries into the chain, for ever."""
        while True:
            await asyncio.sleep(SEAL_SECONDS)
            with suppress(DatabaseUnavailable):
                await self.seal()

    async def seal(self) -> None:
        """Put all that waits into the chain."""
        while await self._store.seal():
            pass

    async def read(self, caller: Principal, wanted: AuditFilter, page: Asked) -> AuditPage:
        """A page of the caller's workspace, with all that was recorded before the call."""
        after = page.number
        await self.seal()
        found = await self._store.list_rows(caller.workspace, after, wanted, page)
        rows, cursor = cut_page(found, page.limit, lambda each: Cursor(each.at, str(each.seq)))
        named = {**wanted._asdict(), "after": page.since, "before": page.until}
        asked = {name: value for name, value in named.items() if value is not None}
        seen: JsonObject = {"items": len(rows), **{name: str(asked[name]) for name in asked}}
        await self.record(Entry(origin_of(caller), Action.AUDIT_READ, "", after=seen))
        return AuditPage(items=[AuditRow.from_row(row) for row in rows], next_cursor=cursor)
