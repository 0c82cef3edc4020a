"""A small client of the REST API, for demo, benchmark and tests; raises rather than hides."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import httpx
import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

CALL_SECONDS = 30.0
TRIES = 4
LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
PAGE = 200
POLL_SECONDS = 0.1
FINAL = frozenset({"succeeded", "failed", "cancelled"})
RESTING = FINAL | {"paused", "unconfirmed"}


class RestError(Exception):
    """The API answered with something else than was asked for; the text has its answer."""

    def __init__(self, text: str, answer: httpx.Response | None = None) -> None:
        super().__init__(text)
        self.answer = answer


class RestClient:
    """`async with RestClient(stack.url, stack.api_key) as api: await api.start_run(...)`.

    A 429 or 503 is tried again when the platform says so, a start under the same
    Idempotency-Key; every other refusal raises `RestError`.
    """

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.AsyncClient(
            base_url=f"{url}/api/automation",
            headers={"x-api-key": key},
            timeout=CALL_SECONDS,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def put_lead(self, lead_id: str, **lead: Any) -> dict[str, Any]:
        """Make or replace one lead."""
        return await self.call("PUT", f"/lead/{lead_id}", json=lead)

    async def import_leads(self, csv: bytes, leads: int) -> None:
        """Upsert every line of the CSV; raises `RestError` unless all `leads` are in."""
        headers = {"content-type": "text/csv"}
        report = await self.call("POST", "/leads", content=csv, headers=headers)
        if report["received"] - report["failed"] != leads:
            raise RestError(f"not all leads were imported: {report['errors']}")

    async def publish(self, workflow_id: str, definition: Mapping[str, Any]) -> int:
        """Save a workflow; its new version."""
        saved = await self.call("PUT", f"/workflow/{workflow_id}", json=definition)
        return int(saved["version"])

    async def start_run(
        self,
        workflow_id: str,
        lead_id: str,
        *,
        run_input: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> str:
        """Start a run for one lead; its id."""
        body = {"leadId": lead_id, "input": run_input or {}}
        started = await self._start(workflow_id, body, key)
        return str(started["runId"])

    async def start_runs(
        self, workflow_id: str, lead_ids: Sequence[str], *, key: str | None = None
    ) -> list[str]:
        """Start a run for each lead; their ids in the same order."""
        started = await self._start(workflow_id, {"leadIds": list(lead_ids)}, key)
        return list(started["runIds"])

    async def read_run(self, run_id: str) -> dict[str, Any]:
        """A run with its executions."""
        return await self.call("GET", f"/run/{run_id}")

    async def read_logs(self, workflow_id: str, **filters: str) -> list[dict[str, Any]]:
        """All executions of a workflow that the filters let through, oldest first."""
        query = {"limit": str(PAGE), **filters}
        items: list[dict[str, Any]] = []
        while True:
            page = await self.call("GET", f"/workflow/{workflow_id}/logs", params=query)
            items.extend(page["items"])
            if not page.get("nextCursor"):
                return items
            query["cursor"] = page["nextCursor"]

    async def wait_for_run(
        self, run_id: str, *, among: frozenset[str] = RESTING, seconds: float = 30.0
    ) -> dict[str, Any]:
        """The run, once its status is one of `among`. Raises `TimeoutError` with what it is."""
        deadline = time.monotonic() + seconds
        while True:
            run = await self.read_run(run_id)
            if run["status"] in among:
                return run
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds:g} s the run is {run}")
            await asyncio.sleep(POLL_SECONDS)

    async def follow_runs(self) -> AsyncGenerator[dict[str, Any], None]:
        """The workspace's runs as they change, live; comes back where the connection breaks.

        An empty one says that more has changed than is told.
        """
        last_event_id = ""
        patience = httpx.Timeout(CALL_SECONDS, read=None)
        while True:
            headers = {"last-event-id": last_event_id} if last_event_id else {}
            try:
                async with self.http.stream(
                    "GET", "/runs/events", headers=headers, timeout=patience
                ) as answer:
                    if not answer.is_success:
                        raise RestError(f"the live events were answered {answer.status_code}")
                    async for line in answer.aiter_lines():
                        name, _, text = line.partition(": ")
                        if name == "id":
                            last_event_id = text
                        elif name == "data":
                            yield orjson.loads(text)
            except httpx.TransportError:
                await asyncio.sleep(POLL_SECONDS)

    async def call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON of a 2xx answer. Raises `RestError`."""
        answer = None
        for _ in range(TRIES):
            try:
                answer = await self.http.request(method, path, **request)
            except httpx.TransportError as error:
                raise RestError(f"{method} {path}: no answer: {error!r}") from error
            if answer.is_success:
                return dict(answer.json())
            if answer.status_code not in LATER:
                break
            await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
        status = answer.status_code if answer else None
        text = answer.text if answer else ""
        raise RestError(f"{method} {path} was answered {status}: {text}", answer)

    async def _start(
        self, workflow_id: str, body: Mapping[str, Any], key: str | None
    ) -> dict[str, Any]:
        # A 503 leaves open whether the start counts: without a key a repeat could start another.
        headers = {"idempotency-key": key or f"client-{uuid4()}"}
        return await self.call("POST", f"/workflow/{workflow_id}/run", json=body, headers=headers)


def as_timestamp(seconds: float) -> str:
    """A moment of the wall clock as the API's filters take it (RFC 3339 in UTC)."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
