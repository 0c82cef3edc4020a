"""What jobs keep of people: sealed until it is worked off, then gone; who was erased stays so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from gateway.audit.origins import origin_of_command
from gateway.auth.schemas import Principal
from gateway.jobs.cutting import PART_BYTES
from gateway.jobs.schemas import JobKind
from gateway.jobs.store import Job, JobStore, Part
from gateway.leads.bulk import NdjsonReader
from gateway.leads.tally import OMITTED
from gateway.problems import Problem
from gateway.store import open_database

from services.gateway.tests.conftest import AHMED, Gateway, MakeSettings, open_gateway
from services.gateway.tests.opened import job_sealer
from services.gateway.tests.test_jobs import CSV, IMPORT, ended, job_store
from services.gateway.tests.test_reading import NOON

if TYPE_CHECKING:
    import httpx

MARK = "canary-4c1d"
LEAD = "/api/automation/lead/{}"
WAIT_SECONDS = 20
HOUR = timedelta(hours=1)
PARTS = "SELECT body, data_key FROM gateway.job_parts WHERE workspace = $1"
REQUEST = "SELECT request::text FROM gateway.jobs WHERE id = $1"


@asynccontextmanager
async def import_under_way(
    gateway: Gateway, *ids: str
) -> AsyncIterator["asyncio.Task[httpx.Response]"]:
    """An import of the leads `ids`, each of which it has in two parts, of which one is stored; the
    rest comes at the end."""
    go_on = asyncio.Event()
    rows = "".join(f"{each},{MARK},x\n" for each in ids)
    filler = "".join(f"f-{n},{MARK},{'x' * 4_000}\n" for n in range(PART_BYTES // 4_000 + 1))

    async def body() -> AsyncIterator[bytes]:
        yield f"leadId,name,note\n{rows}{filler}".encode()
        await go_on.wait()
        yield rows.encode()

    task = asyncio.create_task(gateway.client.post(IMPORT, content=body(), headers=CSV))
    async with asyncio.timeout(WAIT_SECONDS):
        while not await gateway.sql.fetch(PARTS, gateway.workspace):
            await asyncio.sleep(0.02)
    yield task
    go_on.set()
    await task


@pytest.mark.parametrize("seals", [True, False])
async def test_what_an_import_brought_is_sealed_and_who_was_erased_stays_out(
    make_settings: MakeSettings, *, seals: bool
) -> None:
    async with open_gateway(make_settings(seal_leads=seals)) as gateway:
        for lead_id in ("gone", "stays"):
            await gateway.client.put(LEAD.format(lead_id), json=AHMED)
        async with import_under_way(gateway, "gone", "stays", "unknown") as task:
            parts = await gateway.sql.fetch(PARTS, gateway.workspace)
            # What lies in the open is of before, or of who does not seal; both are read below.
            assert [MARK.encode() in each["body"] for each in parts] == [not seals] * len(parts)
            assert [each["data_key"] is not None for each in parts] == [seals] * len(parts)
            assert (await gateway.client.delete(LEAD.format("gone"))).status_code == 200
            # Nobody knows whether an import has it.
            assert (await gateway.client.delete(LEAD.format("unknown"))).status_code == 404
        job_id = (await task).json()["jobId"]
        job = await ended(gateway, job_id)
        assert (job["status"], job["failed"]) == ("succeeded", 4), job
        assert job["done"] == job["total"] == job["created"] + job["updated"] + job["failed"]
        path = f"/api/automation/job/{job_id}/faults"
        faults = (await gateway.client.get(path)).json()["items"]
        assert [(each["pointer"], each["message"]) for each in faults] == [("/leadId", OMITTED)] * 4
        assert [each["line"] for each in faults][:2] == [2, 4]
        for lead_id, status in (("gone", 404), ("unknown", 404), ("stays", 200), ("f-7", 200)):
            answer = await gateway.client.get(LEAD.format(lead_id))
            assert answer.status_code == status, lead_id
        assert answer.json()["name"] == MARK
        assert not await gateway.sql.fetch(PARTS, gateway.workspace)
        async with job_store(gateway) as store:
            await store.tidy({"code": "time_limit"})
        left = "SELECT FROM gateway.job_omissions WHERE workspace = $1"
        assert not await gateway.sql.fetch(left, gateway.workspace)
        # The next import may have it again.
        again = await gateway.client.post(
            IMPORT, content=b"leadId,name\ngone,Another\n", headers=CSV
        )
        await ended(gateway, again.json()["jobId"])
        assert (await gateway.client.get(LEAD.format("gone"))).json()["name"] == "Another"


WAITS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def test_an_erasure_waits_for_a_part_that_is_being_saved(gateway: Gateway) -> None:
    """Otherwise it would find no lead, and the part would save it a moment later."""
    saver = await asyncpg.connect(gateway.settings.database_url.get_secret_value())
    async with import_under_way(gateway, "sara") as task:
        async with saver.transaction():
            job = "SELECT FROM gateway.jobs WHERE workspace = $1 FOR UPDATE"
            await saver.execute(job, gateway.workspace)
            save = "INSERT INTO gateway.leads (workspace, lead_id) VALUES ($1, 'sara')"
            await saver.execute(save, gateway.workspace)
            erasing = asyncio.create_task(gateway.client.delete(LEAD.format("sara")))
            while not await gateway.sql.fetchval(WAITS):
                assert not erasing.done(), (await erasing).text
                await asyncio.sleep(0.02)
        assert (await erasing).json()["wasThere"] is True
        assert (await gateway.client.get(LEAD.format("sara"))).status_code == 404
    await saver.close()
    job_id = (await task).json()["jobId"]
    assert (await ended(gateway, job_id))["failed"] == 2
    assert (await gateway.client.get(LEAD.format("sara"))).status_code == 404


async def test_a_part_waits_for_an_erasure_under_way(gateway: Gateway) -> None:
    """Otherwise it would not see that the lead is to be left out, and save it."""
    caller = Principal(key_id="", name="tests", workspace=gateway.workspace)
    line = b'{"leadId": "sara"}'
    eraser = await asyncpg.connect(gateway.settings.database_url.get_secret_value())
    async with import_under_way(gateway):
        find = "SELECT id FROM gateway.jobs WHERE workspace = $1"
        job_id = await gateway.sql.fetchval(find, gateway.workspace)
        async with eraser.transaction():
            omit = (
                "INSERT INTO gateway.job_omissions (job_id, workspace, lead_id)"
                " VALUES ($1, $2, 'sara')"
            )
            await eraser.execute(omit, job_id, gateway.workspace)
            part = gateway.services.leads.import_part(caller, NdjsonReader(), line, job_id)
            saving = asyncio.create_task(part)
            while not await gateway.sql.fetchval(WAITS):
                assert not saving.done(), "it has saved the lead"
                await asyncio.sleep(0.02)
        tally = await saving
    await eraser.close()
    assert (tally.created, tally.updated, tally.failed) == (0, 0, 1)
    assert (await gateway.client.get(LEAD.format("sara"))).status_code == 404


async def queue(store: JobStore, gateway: Gateway, kind: JobKind, request: dict[str, Any]) -> Job:
    """A job that is queued and that nobody works on for an hour."""
    job = Job(str(uuid4()), gateway.workspace, kind, "welcome", {}, "tests", NOON, "")
    assert await store.open(job)
    await store.add_part(job, 0, Part(0, orjson.dumps(["ahmed"])))
    lease = "UPDATE gateway.jobs SET leased_until = now() + $2::interval WHERE id = $1"
    await gateway.sql.execute(lease, job.id, HOUR)
    origin = origin_of_command("tests", gateway.workspace)
    await store.queue(job, None, b"", 1, request, HOUR, origin)
    return job


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled", "late"])
async def test_what_runs_are_started_with_is_sealed_and_goes_at_the_end(
    gateway: Gateway, end: str
) -> None:
    await gateway.put_welcome()
    async with job_store(gateway) as store:
        request = {"version": 1, "input": {"word": MARK}}
        job = await queue(store, gateway, "runs_start", request)
        stored = await gateway.sql.fetchval(REQUEST, job.id)
        assert MARK not in stored
        assert "sealed" in stored
        if end == "late":
            expire = "UPDATE gateway.jobs SET expires_at = now() WHERE id = $1"
            await gateway.sql.execute(expire, job.id)
            await store.tidy({"code": "time_limit"})
        elif end == "cancelled":
            assert await store.cancel(origin_of_command("x", gateway.workspace), UUID(job.id))
        elif end == "failed":
            lease = uuid4()
            take = "UPDATE gateway.jobs SET lease = $2, status = 'running' WHERE id = $1"
            await gateway.sql.execute(take, job.id, lease)
            await store.fail(job, lease, {"code": "x"})
        else:
            free = "UPDATE gateway.jobs SET leased_until = NULL WHERE id = $1"
            await gateway.sql.execute(free, job.id)
    told = await ended(gateway, job.id)
    assert told["status"] == {"late": "failed"}.get(end, end), told
    assert orjson.loads(await gateway.sql.fetchval(REQUEST, job.id)) == {"version": 1}
    if end == "succeeded":
        runs = await gateway.client.get(f"/api/automation/job/{job.id}/runs")
        (started,) = await gateway.find_requests(runs.json()["items"][0]["runId"])
        assert started.request.input == {"word": MARK}


async def test_a_start_of_before_is_read_in_the_open(make_settings: MakeSettings) -> None:
    async with open_gateway(make_settings()) as gateway:
        await gateway.put_welcome()
        unsealed = make_settings(seal_leads=False)
        async with open_database(unsealed, purpose="tests", size=1) as database:
            store = JobStore(database, job_sealer(database, unsealed))
            request = {"version": 1, "input": {"word": MARK}}
            job = await queue(store, gateway, "runs_start", request)
        assert MARK in await gateway.sql.fetchval(REQUEST, job.id)
        free = "UPDATE gateway.jobs SET leased_until = NULL WHERE id = $1"
        await gateway.sql.execute(free, job.id)
        assert (await ended(gateway, job.id))["status"] == "succeeded"
        assert orjson.loads(await gateway.sql.fetchval(REQUEST, job.id)) == {"version": 1}


async def test_a_part_opens_in_its_place_only(gateway: Gateway) -> None:
    async with open_database(gateway.settings, purpose="tests", size=1) as database:
        sealer = job_sealer(database, gateway.settings)
        mine, other = str(uuid4()), str(uuid4())
        sealed = await sealer.seal_part(gateway.workspace, mine, 3, MARK.encode())
        assert await sealer.open_part(gateway.workspace, mine, 3, sealed) == MARK.encode()
        for workspace, job_id, number in (
            (gateway.workspace, mine, 4),
            (gateway.workspace, other, 3),
            ("another", mine, 3),
        ):
            with pytest.raises(Problem, match="does not open") as refused:
                await sealer.open_part(workspace, job_id, number, sealed)
            assert refused.value.status == 503
