"""The tables `suppressions` and `sending_policies`; of an address only its index comes here."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import asyncpg
from mirsal_runtime.queries import load_queries

from gateway.audit.entries import Action, Describe, Entry, Origin
from gateway.audit.store import change, record
from gateway.paging import Asked, BothWays
from gateway.repeats import Once, Repeated, claim
from gateway.sending.schemas import Channel, Kind, PolicyView, SuppressionView
from gateway.store import Database, Transaction

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

_SQL = load_queries("gateway.sending")
_LIST = BothWays.of(_SQL["list"])


class NewSuppression(NamedTuple):
    """An address as it is stored; `data_key` is what its index's key follows from."""

    channel: Channel
    kind: Kind
    address_index: bytes
    masked: str
    reason: str | None
    data_key: UUID


class SendingStore:
    """Reads and writes whom workspaces may write to; every method keeps to one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, new: NewSuppression, origin: Origin, once: Once) -> SuppressionView | None:
        """The address as it is listed now; None where it is denied, and stays so.

        Raises `Repeated`.
        """
        workspace = origin.workspace
        rows = await change(
            self._database,
            workspace,
            _describe(origin, Action.SUPPRESSION_SAVED),
            _SQL["save"],
            once.id, workspace, *new, origin.name,
            once=once,
        )  # fmt: skip
        return _view(rows[0]) if rows else None

    async def save_many(
        self, new: Sequence[NewSuppression], origin: Origin, once: Once
    ) -> list[int]:
        """The places of those that are denied and stay so; then none of them is listed.

        No address is there twice. Raises `Repeated`.
        """

        *columns, (data_key, *_) = (list(column) for column in zip(*new, strict=True))
        kinds: JsonObject = {**Counter[str](each.kind for each in new)}

        async def work(transaction: Transaction) -> Repeated | None:
            repeated = await claim(transaction, once)
            if repeated is not None:
                return repeated
            rows = await transaction.fetch(
                _SQL["save_many"], origin.workspace, *columns, data_key, origin.name
            )
            listed = {row["address_index"] for row in rows}
            denied = [n for n, each in enumerate(new) if each.address_index not in listed]
            if denied:
                raise _DeniedError(denied)
            entry = Entry(origin, Action.SUPPRESSIONS_IMPORTED, str(once.id), after=kinds)
            await record(transaction, entry)
            return None

        try:
            repeated = await self._database.transact_in(origin.workspace, work)
        except _DeniedError as error:
            return error.places
        if repeated is not None:
            raise repeated
        return []

    async def find(
        self, workspace: str, channel: Channel, address_index: bytes
    ) -> SuppressionView | None:
        """What is listed of an address."""
        row = await self._database.fetch_row_in(
            workspace, _SQL["find"], workspace, channel, address_index
        )
        return None if row is None else _view(row)

    async def list_suppressions(
        self, workspace: str, channel: Channel | None, kind: Kind | None, asked: Asked
    ) -> list[SuppressionView]:
        """A page of listed addresses, and one more."""
        rows = await self._database.fetch_in(
            workspace,
            _LIST.for_page(asked),
            workspace, *asked.place, channel, kind, asked.since, asked.until, asked.limit + 1,
        )  # fmt: skip
        return [_view(row) for row in rows]

    async def remove(self, origin: Origin, suppression_id: UUID) -> SuppressionView | None:
        """What was removed, of the origin's workspace."""
        workspace = origin.workspace
        rows = await change(
            self._database,
            workspace,
            _describe(origin, Action.SUPPRESSION_REMOVED),
            _SQL["remove"],
            workspace,
            suppression_id,
        )
        return _view(rows[0]) if rows else None

    async def read_policies(self, workspace: str) -> dict[str, PolicyView]:
        """The policies that there are, by channel."""
        rows = await self._database.fetch_in(workspace, _SQL["policies"], workspace)
        return {row["channel"]: _policy(row) for row in rows}

    async def save_policy(
        self, origin: Origin, channel: Channel, only_listed: bool, data_key: UUID
    ) -> PolicyView:
        """The policy as it is now."""

        def describe(_rows: Sequence[Any]) -> Entry:
            return Entry(origin, Action.SENDING_SAVED, channel, after={"onlyListed": only_listed})

        workspace = origin.workspace
        (row,) = await change(
            self._database,
            workspace,
            describe,
            _SQL["save_policy"],
            workspace, channel, only_listed, data_key, origin.name,
        )  # fmt: skip
        return _policy(row)


class _DeniedError(Exception):
    """Takes back all that the call listed, and the claim of its key."""

    def __init__(self, places: list[int]) -> None:
        super().__init__(len(places))
        self.places = places


def _view(row: asyncpg.Record) -> SuppressionView:
    members = dict(row)
    return SuppressionView(suppression_id=str(members.pop("id")), **members)


def _policy(row: asyncpg.Record) -> PolicyView:
    return PolicyView(
        only_listed=row["only_listed"], updated_by=row["updated_by"], updated_at=row["updated_at"]
    )


def _describe(origin: Origin, action: Action) -> Describe:
    """The entry of an act: rows of the log stay for ever, so nothing of the address is in it."""

    def describe(rows: Sequence[asyncpg.Record]) -> Entry | None:
        if not rows:
            return None
        told = {name: rows[0][name] for name in ("channel", "kind")}
        is_over = action is Action.SUPPRESSION_REMOVED
        return Entry(
            origin,
            action,
            str(rows[0]["id"]),
            before=told if is_over else None,
            after=None if is_over else told,
        )

    return describe
