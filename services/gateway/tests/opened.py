"""Requests as the orchestrator sees them: opened with the keys that the gateway publishes."""

from typing import TYPE_CHECKING, Any

import orjson
from gateway.credentials.sealing import Sealer
from gateway.credentials.store import CredentialStore
from gateway.jobs.sealing import JobSealer
from gateway.leads.sealing import LeadSealer
from gateway.settings import GatewaySettings
from gateway.store import Database
from mirsal_contracts.leads import CALL, LEAD, Lead
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.workflows import Graph
from mirsal_runtime.vault.keys import GivenKeys
from mirsal_runtime.vault.lead_keys import FIND_KEYS, LeadKeys
from mirsal_runtime.vault.personal import KeyName, LeadKey

if TYPE_CHECKING:
    import asyncpg


def lead_keys(sql: "asyncpg.Connection[asyncpg.Record]", settings: GatewaySettings) -> LeadKeys:
    """The keys of leads, read anew each time it is made."""

    async def find_rows(ids: list[str]) -> "list[asyncpg.Record]":
        return await sql.fetch(FIND_KEYS, ids)

    return LeadKeys(find_rows, GivenKeys(settings.vault_keys))


async def open_request(request: RunRequested, keys: LeadKeys) -> RunRequested:
    """The request with nothing sealed; as it is where its lead's key is gone."""
    sealed = request.lead.sealed
    if sealed is None:
        return request
    key = await keys.find_one(KeyName(request.workspace, sealed.key))
    if not isinstance(key, LeadKey):
        return request
    changes: dict[str, Any] = {
        "lead": Lead.model_validate_json(key.open(sealed.text, LEAD)),
        "sealed": None,
    }
    if request.sealed is not None:
        parts = orjson.loads(key.open(request.sealed.text, CALL, request.run_id))
        changes["input"] = parts["input"]
        if "graph" in parts:
            changes["graph"] = Graph.model_validate(parts["graph"])
    return request.model_copy(update=changes)


def job_sealer(database: Database, settings: GatewaySettings) -> JobSealer:
    """What another gateway seals and opens jobs with."""
    sealer = Sealer(CredentialStore(database), GivenKeys(settings.vault_keys))
    return JobSealer(LeadSealer(sealer, is_on=settings.seal_leads))
