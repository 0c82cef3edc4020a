"""Erasing a lead: its row and key at once, then word to its runs (docs/PRIVACY.md)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID, uuid4

from mirsal_contracts.controls import ForgetRun
from mirsal_runtime.broker import Outgoing
from mirsal_runtime.queries import load_queries

from gateway.audit.entries import Origin
from gateway.controls.wishes import write_wish
from gateway.leads.store import Erased, LeadStore
from gateway.runs.launch import Call
from gateway.store import Database

PAGE_RUNS: Final = 500
_SQL = load_queries("gateway.leads")

Publish: TypeAlias = Callable[[Sequence[Outgoing]], Awaitable[None]]


class Done(NamedTuple):
    """What an erasure found, and how many runs were told."""

    erased: Erased
    runs: int


class Erasure:
    """Erases leads. `views` is where the orchestrator's runs are read."""

    def __init__(self, store: LeadStore, views: Database) -> None:
        self._store = store
        self._views = views

    async def erase(self, call: Call, origin: Origin, lead_id: str, publish: Publish) -> Done:
        """Erase a lead; said again it tells the runs again, which changes nothing.

        The key is gone before the first run is told, so what nobody was told yet is unreadable
        all the same: whoever meets it ends the run. Raises what `publish` raises.
        """
        erased = await self._store.erase(origin, lead_id)
        told, last = 0, UUID(int=0)
        while run_ids := await self._runs_of(origin.workspace, lead_id, last):
            last = run_ids[-1]
            await publish([_wish(call, str(run_id)) for run_id in run_ids])
            told += len(run_ids)
        return Done(erased, told)

    async def _runs_of(self, workspace: str, lead_id: str, after: UUID) -> list[UUID]:
        rows = await self._views.fetch_in(
            workspace, _SQL["runs_of_lead"], workspace, lead_id, after, PAGE_RUNS
        )
        return [UUID(str(row["run_id"])) for row in rows]


def _wish(call: Call, run_id: str) -> Outgoing:
    return write_wish(call, run_id, str(uuid4()), lambda ids: ForgetRun(**ids))
