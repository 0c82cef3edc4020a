"""The way from the simulator to `bqemulator`: calls passed on, and what the simulator asks itself.

Also what the emulator leaves undone: a PATCH that adds a column adds it to the stored table, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from mirsal_testing.simulators.bigquery.errors import GoogleError
from mirsal_testing.simulators.bigquery.schemas import Column, read_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirsal_testing.simulators.bigquery.emulator import Emulator
    from mirsal_testing.simulators.bigquery.operations import Operation
    from mirsal_testing.simulators.bigquery.streaming import Row

CALL_SECONDS = 30.0
JSON_TYPE = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    @property
    def is_good(self) -> bool:
        return self.status < 400

    def json(self) -> dict[str, Any]:
        found = orjson.loads(self.body) if self.body else {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class StoredTable:
    columns: Sequence[Column]
    etag: str


class Backend:
    """Starts the emulator with the first call."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, method: str, path: str, body: bytes = b"") -> Answer:
        """`path` as it goes over the wire, with its query."""
        url = await self._emulator.start() + path
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        headers = JSON_TYPE if body else None
        # aiohttp warns of large bodies that are not files.
        data = BytesIO(body) if body else None
        try:
            async with self._session.request(method, url, data=data, headers=headers) as answer:
                return Answer(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise GoogleError("backendError", f"bqemulator did not answer: {error!r}") from error

    async def demand_dataset(self, operation: Operation) -> None:
        """Raises GoogleError where there is none: the emulator would call it its own fault."""
        project, dataset = operation.project, operation.dataset
        path = f"/bigquery/v2/projects/{project}/datasets/{dataset}"
        if (await self.send("GET", path)).status == 404:
            raise GoogleError("notFound", f"Not found: Dataset {project}:{dataset}")

    async def find_table(self, operation: Operation) -> StoredTable | None:
        answer = await self.send("GET", _path(operation))
        if answer.status == 404:
            return None
        table = answer.json()
        return StoredTable(read_columns(table), str(table.get("etag") or ""))

    async def add_columns(self, operation: Operation, columns: Sequence[Column]) -> None:
        table = f"`{operation.project}.{operation.dataset}.{operation.table_id}`"
        additions = [f"ADD COLUMN `{column.name}` {column.sql_type}" for column in columns]
        for addition in additions:
            # Names and types were checked; the emulator takes no parameters in DDL, as Google.
            await self._run(operation, f"ALTER TABLE {table} {addition}")

    async def store(self, operation: Operation, rows: Sequence[Row]) -> None:
        body = {"rows": [{"json": row.json} for row in rows]}
        await self._demand("POST", _path(operation) + "/insertAll", body)

    async def _run(self, operation: Operation, statement: str) -> None:
        path = f"/bigquery/v2/projects/{operation.project}/queries"
        await self._demand("POST", path, {"query": statement, "useLegacySql": False})

    async def _demand(self, method: str, path: str, body: Mapping[str, object]) -> None:
        answer = await self.send(method, path, orjson.dumps(body))
        if not answer.is_good:
            text = answer.body.decode("utf-8", "replace")
            raise GoogleError("internalError", f"bqemulator answered {answer.status}: {text}")


def _path(operation: Operation) -> str:
    return (
        f"/bigquery/v2/projects/{operation.project}/datasets/{operation.dataset}"
        f"/tables/{operation.table_id}"
    )
