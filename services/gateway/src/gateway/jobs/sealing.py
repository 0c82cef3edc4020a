"""What jobs keep of people until it is worked off, sealed with their workspace's data key.

Not with keys of leads: a part has many, and nobody looks for one in it. It is gone within the hour
that a job may last.
"""

from base64 import b64decode, b64encode
from typing import Final, NamedTuple
from uuid import UUID

import orjson
import structlog
from mirsal_contracts.message import JsonObject
from mirsal_runtime.vault.sealing import SealBroken, seal, unseal

from gateway.leads.sealing import Kit, LeadSealer
from gateway.problems import Problem, unavailable

INPUT: Final = "input"
SEALED: Final = "sealed"
"""The member of a request that stands in place of its input."""

log = structlog.get_logger(__name__)


class SealedBody(NamedTuple):
    """A part's body as it is stored; without a `data_key` it lies in the open."""

    body: bytes
    data_key: UUID | None = None


class JobSealer:
    """Seals where leads are sealed, and opens what is. Raises a 503 `Problem` where no key is to be
    had, or what was sealed does not open."""

    def __init__(self, kits: LeadSealer) -> None:
        self._kits = kits

    async def seal_part(self, workspace: str, job_id: str, number: int, body: bytes) -> SealedBody:
        """The body of an import's part as it is to be stored."""
        kit = await self._kits.kit_for(workspace)
        if kit is None:
            return SealedBody(body)
        context = _context(kit, job_id, f"part {number}")
        return SealedBody(seal(kit.data_key, body, context), kit.data_key_id)

    async def open_part(self, workspace: str, job_id: str, number: int, found: SealedBody) -> bytes:
        """The body as it came."""
        if found.data_key is None:
            return found.body
        return await self._open(workspace, job_id, f"part {number}", found)

    async def seal_request(self, workspace: str, job_id: str, request: JsonObject) -> JsonObject:
        """What a job is to do, with its input sealed if there is any."""
        kit = await self._kits.kit_for(workspace) if request.get(INPUT) else None
        if kit is None:
            return request
        text = seal(kit.data_key, orjson.dumps(request[INPUT]), _context(kit, job_id, INPUT))
        left = {name: value for name, value in request.items() if name != INPUT}
        key = str(kit.data_key_id)
        return {**left, SEALED: {"dataKey": key, "text": b64encode(text).decode()}}

    async def open_input(self, workspace: str, job_id: str, request: JsonObject) -> JsonObject:
        """The input of a job's request. Raises `TypeError` where it has none."""
        given, sealed = request.get(INPUT), request.get(SEALED)
        if isinstance(sealed, dict):
            found = SealedBody(b64decode(str(sealed["text"])), UUID(str(sealed["dataKey"])))
            given = orjson.loads(await self._open(workspace, job_id, INPUT, found))
        if not isinstance(given, dict):
            raise TypeError("the job does not say with what it starts")
        return given

    async def _open(self, workspace: str, job_id: str, what: str, found: SealedBody) -> bytes:
        kit = await self._kits.kit_to_open(workspace)
        if kit is None or kit.data_key_id != found.data_key:
            raise _unreadable(job_id)
        try:
            return unseal(kit.data_key, found.body, _context(kit, job_id, what))
        except SealBroken:
            raise _unreadable(job_id) from None


def _context(kit: Kit, job_id: str, what: str) -> bytes:
    """What is sealed is bound to its place: moved to another job or part it does not open."""
    return orjson.dumps(["job", kit.workspace, job_id, what, str(kit.data_key_id)])


def _unreadable(job_id: str) -> Problem:
    log.error("job_unreadable", job_id=job_id)
    return unavailable("What the job is to do does not open.")
