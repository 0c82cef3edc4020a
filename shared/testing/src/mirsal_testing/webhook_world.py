"""What the webhook worker reads, for its tests: endpoints, wishes and runs, as their owners write.

Each world has a workspace of its own in a database with the three schemas.
"""

import asyncio
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from mirsal_runtime.webhook_secrets import SecretSealer, make_secret
from pydantic import SecretStr

ALL_TYPES = ("run.succeeded", "run.failed", "run.cancelled", "run.paused", "run.unconfirmed")
FINAL = ("succeeded", "failed", "cancelled")
RESTING = ("paused", "unconfirmed")
WAIT_SECONDS = 30.0
KEYS = SecretStr(write_new_key("test"))

_ADD_ENDPOINT = """
INSERT INTO gateway.webhook_endpoints
       (id, workspace, url, event_types, workflow_ids, is_enabled, secret, previous_secret,
        previous_until, created_by)
VALUES ($1, $2, $3, $4, $5, true, $6, $7, now() + interval '1 day', 'tests')
"""
_PUT_RUN = """
INSERT INTO orchestrator.runs (id, workspace, workflow_id, version, lead_id, status, request,
                               state, wake_at, created_at, updated_at, ended_at)
VALUES ($1, $2, $3, 1, 'ahmed', $4, '{}', '{}', CASE WHEN $5 OR $6 THEN NULL ELSE now() END,
        now(), now() - $7::interval, CASE WHEN $5 THEN now() END)
ON CONFLICT (id) DO UPDATE
   SET status = excluded.status, wake_at = excluded.wake_at, revision = runs.revision + 1,
       updated_at = excluded.updated_at,
       ended_at = CASE WHEN $5 THEN coalesce(runs.ended_at, excluded.ended_at) END
"""
_WISH = """
INSERT INTO gateway.webhook_wishes (id, workspace, endpoint_id, kind, delivery_id, since)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_DELIVERIES = """
SELECT * FROM webhook_worker.deliveries WHERE endpoint_id = $1 ORDER BY created_at, id
"""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class World:
    """A workspace with endpoints and runs. `sql` is a superuser's session."""

    def __init__(self, sql: Connection) -> None:
        self.sql = sql
        self.workspace = f"w-{secrets.token_hex(4)}"
        self.secrets: dict[UUID, list[str]] = {}
        self._sealer = SecretSealer(GivenKeys(KEYS), SecretStr(""))

    async def add_endpoint(
        self,
        url: str,
        *,
        types: tuple[str, ...] = ALL_TYPES,
        workflow_ids: list[str] | None = None,
        rotated: bool = False,
    ) -> UUID:
        """An endpoint; `rotated`: with two secrets."""
        endpoint_id = uuid4()
        plain = [make_secret() for _ in range(1 + rotated)]
        sealed = [await self._sealer.seal(each, self.workspace, endpoint_id) for each in plain]
        self.secrets[endpoint_id] = plain
        await self.sql.execute(
            _ADD_ENDPOINT,
            endpoint_id,
            self.workspace,
            url,
            types,
            workflow_ids,
            sealed[0],
            sealed[1] if rotated else None,
        )
        return endpoint_id

    async def put_run(
        self,
        status: str,
        run_id: UUID | None = None,
        *,
        workflow_id: str = "welcome",
        age: timedelta = timedelta(0),
        sql: "Connection | None" = None,
    ) -> UUID:
        """A run that is new, or has changed; `age`: how long before its transaction it says."""
        found = run_id or uuid4()
        await (sql or self.sql).execute(
            _PUT_RUN,
            found,
            self.workspace,
            workflow_id,
            status,
            status in FINAL,
            status in RESTING,
            age,
        )
        return found

    async def wish(self, endpoint_id: UUID, kind: str, **members: Any) -> UUID:
        """What a person wants; the wish's id."""
        wish_id = uuid4()
        await self.sql.execute(
            _WISH,
            wish_id,
            self.workspace,
            endpoint_id,
            kind,
            members.get("delivery_id"),
            members.get("since"),
        )
        return wish_id

    async def deliveries(self, endpoint_id: UUID) -> list[asyncpg.Record]:
        """All of an endpoint's, oldest first."""
        return await self.sql.fetch(_DELIVERIES, endpoint_id)

    async def wait_until(
        self, endpoint_id: UUID, is_so: Callable[[list[asyncpg.Record]], bool]
    ) -> list[asyncpg.Record]:
        """The deliveries once they are so. Raises `TimeoutError`."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                found = await self.deliveries(endpoint_id)
                if is_so(found):
                    return found
                await asyncio.sleep(0.05)
