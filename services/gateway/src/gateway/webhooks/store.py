"""The tables `webhook_endpoints` and `webhook_wishes`, and the webhook worker's views."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from mirsal_runtime.queries import load_queries

from gateway.audit.entries import Entry
from gateway.audit.store import change
from gateway.paging import Asked, BothWays
from gateway.repeats import Once, Repeated
from gateway.store import Database
from gateway.webhooks.schemas import WebhookDraft

_SQL = load_queries("gateway.webhooks")
_LIST, _LIST_DELIVERIES = BothWays.of(_SQL["list"]), BothWays.of(_SQL["list_deliveries"])
MOST_ENDPOINTS = 50


class EndpointRow(NamedTuple):
    """An endpoint, and what the worker says of it. Never its secret."""

    id: UUID
    url: str
    description: str | None
    event_types: list[str]
    workflow_ids: list[str] | None
    is_enabled: bool
    active_since: datetime
    created_by: str
    created_at: datetime
    updated_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None
    reason: str | None
    previous_until: datetime | None

    @property
    def was_disabled(self) -> bool:
        """Whether the worker has disabled it since its owner last enabled it."""
        return self.disabled_at is not None and self.disabled_at >= self.active_since


class Wish(NamedTuple):
    """What the worker is to do once."""

    id: UUID
    workspace: str
    endpoint_id: UUID
    kind: str
    delivery_id: UUID | None = None
    since: datetime | None = None


class WebhookStore:
    """Reads and writes endpoints; every method keeps to one workspace.

    `own` is for the gateway's tables alone, `views` for what needs the worker's too.
    """

    def __init__(self, own: Database, views: Database) -> None:
        self._own = own
        self._views = views

    async def add(self, draft: WebhookDraft, secret: bytes, entry: Entry, once: Once) -> bool:
        """Whether it was added, under the id of `once`: a workspace may have `MOST_ENDPOINTS`.

        Raises `Repeated`.
        """
        workspace = entry.origin.workspace
        values = (*_columns(draft), secret, entry.origin.name, MOST_ENDPOINTS)
        turn = f"mirsal.webhooks/{workspace}"
        return await self._change(
            workspace, "add", entry, once.id, workspace, *values, once=once, turn=turn
        )

    async def save(
        self,
        workspace: str,
        endpoint_id: UUID,
        draft: WebhookDraft,
        entry: Entry | None,
        *,
        revive: bool,
    ) -> bool:
        """Whether there is such an endpoint; `revive`: the worker has disabled it."""
        values = (*_columns(draft), revive)
        return await self._change(workspace, "save", entry, endpoint_id, workspace, *values)

    async def rotate(
        self, endpoint_id: UUID, secret: bytes, overlap: timedelta, entry: Entry, once: Once
    ) -> bool:
        """Whether there is such an endpoint, which has a new secret now. Raises `Repeated`."""
        workspace = entry.origin.workspace
        return await self._change(
            workspace, "rotate", entry, endpoint_id, workspace, secret, overlap, once=once
        )

    async def remove(self, endpoint_id: UUID, entry: Entry) -> bool:
        """Whether there was such an endpoint."""
        return await self._change(
            entry.origin.workspace, "remove", entry, endpoint_id, entry.origin.workspace
        )

    async def wish(self, wish: Wish, entry: Entry, once: Once) -> UUID:
        """Have the worker do something; the wish's id, or that of the same call's before."""
        try:
            await self._change(wish.workspace, "wish", entry, *wish, once=once)
        except Repeated as repeated:
            return repeated.id
        return wish.id

    async def _change(
        self,
        workspace: str,
        name: str,
        entry: Entry | None,
        *values: object,
        once: Once | None = None,
        turn: str = "",
    ) -> bool:
        """Whether the statement gave a row; what it changed is recorded with it."""

        def describe(rows: Sequence[Any]) -> Entry | None:
            return entry if rows else None

        return bool(
            await change(self._own, workspace, describe, _SQL[name], *values, once=once, turn=turn)
        )

    async def read(self, workspace: str, endpoint_id: UUID) -> EndpointRow | None:
        """One endpoint."""
        row = await self._views.fetch_row_in(workspace, _SQL["read"], endpoint_id, workspace)
        return None if row is None else EndpointRow(**row)

    async def list_endpoints(
        self,
        workspace: str,
        workflow_ids: Collection[str] | None,
        asked: Asked,
    ) -> list[EndpointRow]:
        """A page of endpoints, and one more; of these workflows only, unless None."""
        granted = None if workflow_ids is None else sorted(workflow_ids)
        rows = await self._views.fetch_in(
            workspace,
            _LIST.for_page(asked),
            workspace, *asked.place, granted, asked.since, asked.until, asked.limit + 1,
        )  # fmt: skip
        return [EndpointRow(**row) for row in rows]

    async def list_deliveries(
        self,
        workspace: str,
        endpoint_id: UUID,
        state: str | None,
        asked: Asked,
    ) -> list[dict[str, Any]]:
        """A page of an endpoint's deliveries, and one more."""
        rows = await self._views.fetch_in(
            workspace,
            _LIST_DELIVERIES.for_page(asked),
            workspace, endpoint_id, *asked.place, state, asked.since, asked.until,
            asked.limit + 1,
        )  # fmt: skip
        return [dict(row) for row in rows]

    async def read_delivery(
        self, workspace: str, endpoint_id: UUID, delivery_id: UUID
    ) -> dict[str, Any] | None:
        """One delivery."""
        values: tuple[Any, ...] = (workspace, endpoint_id, delivery_id)
        row = await self._views.fetch_row_in(workspace, _SQL["read_delivery"], *values)
        return None if row is None else dict(row)

    async def forget_wishes(self) -> None:
        """Forget what the worker has done long ago."""
        await self._own.fetch_everywhere(_SQL["forget_wishes"])


def _columns(draft: WebhookDraft) -> tuple[object, ...]:
    return draft.url, draft.description, draft.event_types, draft.workflow_ids, draft.enabled
