"""Opening what is sealed with the keys of leads, once a batch; what is gone ends its run."""

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from mirsal_contracts.leads import CALL, LEAD, Lead
from mirsal_contracts.message import JsonObject
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.workflows import Graph
from mirsal_runtime.vault.lead_keys import LEAD_ERASED, KeysAway, LeadKeys, Lost
from mirsal_runtime.vault.personal import KeyName, LeadKey
from mirsal_runtime.vault.sealing import SealBroken
from pydantic_core import from_json

from orchestrator.decide import GraphRefused, RunRequest, compile_plan
from orchestrator.intake.cases import Case
from orchestrator.intake.folding import KnownRun
from orchestrator.intake.patience import Wait, insist
from orchestrator.intake.records import Arrival
from orchestrator.store.faults import DatabaseAway

log = structlog.get_logger(__name__)


class Privacy:
    """Gives each case of a batch the key of its lead."""

    def __init__(self, keys: LeadKeys) -> None:
        self._keys = keys

    async def open(
        self, cases: Iterable[Case], known: dict[str, KnownRun], wait: Wait
    ) -> list[tuple[Case, str]]:
        """Open the cases' requests, and the known runs that were read from the table.

        Cases whose lead was erased are marked so. Gives those that do not open, and why. For what
        sends something once more the keys are looked at anew: an erasure of a moment ago counts.
        """
        wanted = {
            case.run_id: (case, name)
            for case in cases
            if not case.is_erased and (name := _name(case, known))
        }
        if not wanted:
            return []
        names = {name for _, name in wanted.values()}
        anew = {name for case, name in wanted.values() if case.is_resumed}
        keys = await insist(lambda: self._find(names, anew), wait)
        broken: list[tuple[Case, str]] = []
        for case, name in wanted.values():
            key = keys[name]
            if isinstance(key, Lost):
                case.is_erased = key.code == LEAD_ERASED
                if not case.is_erased:
                    broken.append((case, key.message))
                continue
            try:
                _open_case(case, known, key)
            except (SealBroken, ValueError) as error:
                broken.append((case, type(error).__name__))
        return broken

    async def _find(
        self, names: set[KeyName], anew: set[KeyName]
    ) -> Mapping[KeyName, LeadKey | Lost]:
        try:
            return await self._keys.find(names, anew)
        except KeysAway as error:
            raise DatabaseAway(str(error)) from error


def _name(case: Case, known: Mapping[str, KnownRun]) -> KeyName | None:
    """The key that a case's run needs, if it is sealed."""
    run = known.get(case.run_id)
    if run is not None:
        request = run.stored.request
        return None if request.cover is None else _name_in(request.workspace, request.cover)
    message = case.arrivals[0].message if case.arrivals else None
    if not isinstance(message, RunRequested) or message.lead.sealed is None:
        return None
    return KeyName(message.workspace, message.lead.sealed.key)


def _name_in(workspace: str, cover: Mapping[str, Any]) -> KeyName:
    return KeyName(workspace, str(cover["lead"]["sealed"]["key"]))


def _open_case(case: Case, known: dict[str, KnownRun], key: LeadKey) -> None:
    case.seal = key
    run = known.get(case.run_id)
    if run is not None:
        if run.stored.request.seal is None:
            known[case.run_id] = _opened_run(run, key)
        return
    case.arrivals = [
        _opened_arrival(each, key) if isinstance(each.message, RunRequested) else each
        for each in case.arrivals
    ]


def _opened_run(run: KnownRun, key: LeadKey) -> KnownRun:
    request, cover = run.stored.request, run.stored.request.cover
    if cover is None:
        return run
    lead: Any = cover["lead"]
    parts: Any = _open_call(cover.get("sealed"), key, request.run_id)
    opened: RunRequest = request._replace(
        lead=_members_of(Lead.model_validate_json(key.open(str(lead["sealed"]["text"]), LEAD))),
        input=parts.get("input") or request.input,
        seal=key,
    )
    plan = run.plan
    if parts.get("graph") is not None:
        graph = Graph.model_validate(parts["graph"])
        opened = opened._replace(graph=graph)
        try:
            plan = compile_plan(graph)
        except GraphRefused:
            log.warning("graph_refused", run_id=request.run_id)
    return run._replace(stored=run.stored._replace(request=opened), plan=plan)


def _opened_arrival(arrival: Arrival, key: LeadKey) -> Arrival:
    message = arrival.message
    if not isinstance(message, RunRequested) or message.lead.sealed is None:
        return arrival
    sealed = message.lead.sealed
    cover: JsonObject = {"lead": {"id": message.lead.id, "sealed": sealed.model_dump()}}
    changes: dict[str, Any] = {"lead": Lead.model_validate_json(key.open(sealed.text, LEAD))}
    if message.sealed is not None:
        cover["sealed"] = call = message.sealed.model_dump()
        parts = _open_call(call, key, message.run_id)
        changes["input"] = parts.get("input") or {}
        if parts.get("graph") is not None:
            changes["graph"] = Graph.model_validate(parts["graph"])
    if message.input:
        cover["input"] = message.input
    if not message.version:
        cover["graph"] = message.graph.model_dump(by_alias=True, exclude_none=True)
    return arrival._replace(message=message.model_copy(update=changes), cover=cover)


def _open_call(sealed: object, key: LeadKey, run_id: str) -> JsonObject:
    """What is personal of a run besides its lead."""
    if not isinstance(sealed, dict):
        return {}
    parts: JsonObject = from_json(key.open(str(sealed.get("text")), CALL, run_id))
    return parts


def _members_of(lead: Lead) -> JsonObject:
    return lead.model_dump(mode="json", by_alias=True, exclude={"sealed"})
