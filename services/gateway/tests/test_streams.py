"""Live events: whole states, resumed after kills, ended in good order, kept to a workspace."""

import asyncio
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import orjson
import pytest
from gateway.auth.keys import digest_of
from gateway.auth.schemas import Principal
from gateway.paging import Cursor
from gateway.runs.schemas import RunChange
from gateway.watching.feed import MOST_PENDING, ChangeFeed
from gateway.watching.store import Change

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.processes import free_port, run_gateway
from services.gateway.tests.test_reading import add_execution, add_run

PATIENCE_SECONDS = 20
ALL = "/api/automation/runs/events"
RUN = "/api/automation/run/{}/events"
EVERYBODY = Principal("k", "tests", "w")


class Event(NamedTuple):
    """One event of a stream."""

    id: str
    kind: str
    data: Any


class Stream:
    """An open stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def read(self) -> Event:
        """The next event. Raises `StopAsyncIteration` at the stream's end."""
        members: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                name, _, value = (await anext(self._lines)).partition(": ")
                if not name and "data" in members:
                    return Event(members["id"], members["event"], orjson.loads(members["data"]))
                members[name] = value


@asynccontextmanager
async def follow(url: str, key: str, last_event_id: str = "") -> AsyncIterator[Stream]:
    """Open a stream."""
    headers = {"x-api-key": key}
    if last_event_id:
        headers["last-event-id"] = last_event_id
    async with (
        httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        yield Stream(answer)


async def change(gateway: Gateway, run_id: str, status: str) -> None:
    """Write a run as the orchestrator would."""
    over = status == "succeeded"
    await gateway.sql.execute(
        "UPDATE orchestrator.runs SET status = $2, revision = revision + 1, updated_at = now(), "
        "wake_at = CASE WHEN $3 THEN NULL ELSE now() END, "
        "ended_at = CASE WHEN $3 THEN now() END WHERE id = $1",
        run_id,
        status,
        over,
    )


async def add_running(gateway: Gateway, **changes: Any) -> str:
    run_id = await add_run(gateway, status="paused", ended_at=None, **changes)
    await change(gateway, run_id, "running")
    return run_id


async def test_a_run_is_followed_to_its_end(gateway: Gateway) -> None:
    run_id = await add_running(gateway)
    async with run_gateway(gateway.settings, free_port()) as process:
        url = process.url + RUN.format(run_id)
        async with follow(url, gateway.key) as stream:
            assert stream.answer.headers["content-type"].startswith("text/event-stream")
            first = await stream.read()
            assert (first.id, first.kind, first.data["status"]) == ("2", "run", "running")
            execution_id = await add_execution(gateway, run_id=run_id)
            await change(gateway, run_id, "waiting")
            second = await stream.read()
            assert (second.id, second.data["status"]) == ("3", "waiting")
            assert [each["executionId"] for each in second.data["executions"]] == [execution_id]
            await change(gateway, run_id, "succeeded")
            last = await stream.read()
            assert (last.id, last.data["status"]) == ("4", "succeeded")
            with pytest.raises(StopAsyncIteration):
                await stream.read()
        async with follow(url, gateway.key, last.id) as again:
            assert again.answer.status_code == 204
        async with follow(url, gateway.key, second.id) as again:
            assert (await again.read()) == last
        async with follow(process.url + RUN.format(uuid4()), gateway.key) as unknown:
            assert unknown.answer.status_code == 404
        stranger = await gateway.add_key("another")
        async with follow(url, stranger) as foreign:
            assert foreign.answer.status_code == 404


async def test_streams_survive_a_killed_gateway(gateway: Gateway) -> None:
    run_id = await add_running(gateway)
    port = free_port()
    async with run_gateway(gateway.settings, port) as process:
        urls = [process.url + RUN.format(run_id), process.url + ALL]
        last_ids = []
        for url in urls:
            async with follow(url, gateway.key) as stream:
                event = await stream.read()
                assert event.data["runId"] == run_id
                last_ids.append(event.id)
        async with follow(urls[0], gateway.key, last_ids[0]) as stream:
            process.signal(signal.SIGKILL)
            with pytest.raises((httpx.TransportError, StopAsyncIteration)):
                await stream.read()
        await process.wait()
    await change(gateway, run_id, "waiting")
    async with run_gateway(gateway.settings, port):
        async with follow(urls[0], gateway.key, last_ids[0]) as stream:
            event = await stream.read()
            assert (event.id, event.data["status"]) == ("3", "waiting")
        async with follow(urls[1], gateway.key, last_ids[1]) as stream:
            event = await stream.read()
            assert (event.data["runId"], event.data["revision"]) == (run_id, 3)


async def test_a_gateway_that_stops_ends_its_streams_in_good_order(gateway: Gateway) -> None:
    run_id = await add_running(gateway)
    async with run_gateway(gateway.settings, free_port()) as process:
        async with (
            follow(process.url + RUN.format(run_id), gateway.key) as one,
            follow(process.url + ALL, gateway.key) as all_runs,
        ):
            await one.read()
            await all_runs.read()
            process.signal(signal.SIGTERM)
            for stream in (one, all_runs):
                # Cut off at the end of the drain, this would be an error of the transport.
                with pytest.raises(StopAsyncIteration):
                    await stream.read()
        assert await process.wait() == 0


async def test_a_stream_ends_with_the_key_that_opened_it(gateway: Gateway) -> None:
    run_id = await add_running(gateway)
    other = await gateway.add_key(gateway.workspace)
    async with run_gateway(gateway.settings, free_port()) as process:
        run, everything = process.url + RUN.format(run_id), process.url + ALL
        async with (
            follow(run, gateway.key) as one,
            follow(everything, gateway.key) as all_runs,
            follow(run, other) as still_good,
        ):
            for stream in (one, all_runs, still_good):
                await stream.read()
            await gateway.sql.execute(
                "UPDATE gateway.api_keys SET revoked_at = now() WHERE digest = $1",
                digest_of(gateway.key, gateway.settings.api_key_pepper),
            )
            for stream in (one, all_runs):
                with pytest.raises(StopAsyncIteration):
                    await stream.read()
            await change(gateway, run_id, "waiting")
            assert (await still_good.read()).data["status"] == "waiting"


async def test_all_runs_are_followed_within_the_workspace(gateway: Gateway) -> None:
    async with run_gateway(gateway.settings, free_port()) as process:
        async with follow(process.url + ALL, gateway.key) as stream:
            stranger = await add_running(gateway, workspace="another")
            first = await add_running(gateway)
            event = await stream.read()
            while event.data["status"] != "running":
                event = await stream.read()
            assert (event.kind, event.data["runId"]) == ("run", first)
            assert "executions" not in event.data
            second = await add_running(gateway)
            await change(gateway, stranger, "waiting")
            await change(gateway, first, "waiting")
            told: set[tuple[str, str]] = set()
            while {(first, "waiting"), (second, "running")} - told:
                event = await stream.read()
                assert event.data["runId"] != stranger
                told.add((event.data["runId"], event.data["status"]))
        async with follow(process.url + ALL, gateway.key, event.id) as stream:
            # What changed a moment ago may come again; what is new surely comes.
            await change(gateway, second, "succeeded")
            event = await stream.read()
            while event.data["status"] != "succeeded":
                event = await stream.read()
            assert event.data["runId"] == second


@pytest.mark.parametrize(
    "last_event_id",
    ["nonsense", Cursor(datetime.now(UTC) - timedelta(hours=2), "x").to_text()],
    ids=["a word", "two hours"],
)
async def test_who_comes_back_too_late_is_told_of_the_gap(
    gateway: Gateway, last_event_id: str
) -> None:
    async with (
        run_gateway(gateway.settings, free_port()) as process,
        follow(process.url + ALL, gateway.key, last_event_id) as stream,
    ):
        assert (await stream.read()).kind == "gap"
        run_id = await add_running(gateway)
        assert (await stream.read()).data["runId"] == run_id


class Tables:
    """Changes as a look finds them."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.looks = 0

    async def find_changes(
        self, workspaces: Collection[str], within: timedelta, limit: int
    ) -> list[Change]:
        self.looks += 1
        return [each for each in self.changes if each.workspace in workspaces]

    async def find_changes_since(self, workspace: str, since: datetime, limit: int) -> list[Change]:
        return []


def changed(number: int, revision: int = 1) -> Change:
    """A run that changed."""
    now = datetime.now(UTC)
    return Change(
        "w",
        RunChange(
            run_id=str(number), workflow_id="flow", version=1, lead_id="lead", status="running",
            revision=revision, error=None, created_at=now, updated_at=now, ended_at=None,
        ),
    )  # fmt: skip


async def test_one_look_serves_all_streams_and_none_is_made_for_nobody() -> None:
    tables = Tables()
    feed = ChangeFeed(tables)
    tables.changes = [changed(1)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        with (
            feed.subscribe(EVERYBODY) as one,
            feed.subscribe(EVERYBODY) as other,
            feed.subscribe(EVERYBODY._replace(workspace="x")),
        ):
            for each in (one, other):
                assert [run.run_id for run in (await each.take()).changes] == ["1"]
            tables.changes = [changed(1, 3), changed(1, 2)]
            (run,) = (await one.take()).changes
            assert run.revision == 3
            looks = tables.looks
        await asyncio.sleep(0.6)
    assert tables.looks <= looks + 1, "it looks although nobody follows"


async def test_a_stream_that_does_not_keep_up_is_told_of_the_gap() -> None:
    tables = Tables()
    feed = ChangeFeed(tables)
    tables.changes = [changed(number) for number in range(MOST_PENDING + 1)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        with feed.subscribe(EVERYBODY) as subscription:
            news = await subscription.take()
    assert news.has_gap
    assert len(news.changes) <= MOST_PENDING
