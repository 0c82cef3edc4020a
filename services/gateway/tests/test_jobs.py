"""Bulk calls as jobs: parts are cut at whole records, each is done, and each thing counts once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from gateway.jobs.cutting import PART_BYTES, Cutter
from gateway.jobs.runner import JobRunner
from gateway.jobs.schemas import JobFault
from gateway.jobs.store import MOST_OPEN, Job, JobStore, Step
from gateway.jobs.work import Works
from gateway.leads.bulk import CsvReader, NdjsonReader, Reader
from gateway.problems import Problem
from gateway.store import Database, open_database
from mirsal_contracts.controls import ReplayLetter

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.opened import job_sealer
from services.gateway.tests.test_letters import add_letter
from services.gateway.tests.test_reading import NOON

IMPORT = "/api/automation/leads/import"
CSV = {"content-type": "text/csv"}
JOB_SECONDS = 30


async def ended(gateway: Gateway, job_id: str) -> dict[str, Any]:
    """The job, once it has ended."""
    async with asyncio.timeout(JOB_SECONDS):
        while True:
            answer = await gateway.client.get(f"/api/automation/job/{job_id}")
            # 503: a busy machine; it is asked again.
            assert answer.status_code in {200, 503}, answer.text
            job: dict[str, Any] = answer.json()
            if job.get("endedAt") is not None:
                return job
            await asyncio.sleep(0.05)


async def accepted(gateway: Gateway, path: str, **options: Any) -> str:
    """The id of the job that a call makes."""
    answer = await gateway.client.post(path, **options)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["statusUrl"]
    return str(answer.json()["jobId"])


@asynccontextmanager
async def job_store(gateway: Gateway) -> AsyncIterator[JobStore]:
    """The tables, as another gateway has them."""
    async with open_database(gateway.settings, purpose="tests", size=1) as database:
        yield JobStore(database, job_sealer(database, gateway.settings))


def pieces_of(body: bytes, step: int, *, is_csv: bool) -> tuple[Cutter, list[Any]]:
    """All pieces of a body that comes `step` bytes at a time."""
    cutter = Cutter(is_csv=is_csv)
    pieces = [
        piece
        for start in range(0, len(body), step)
        for piece in cutter.feed(body[start : start + step])
    ]
    return cutter, [*pieces, *cutter.close()]


@pytest.mark.parametrize("step", [700, 65_536, 10_000_000])
@pytest.mark.parametrize("is_csv", [True, False])
def test_the_parts_together_say_what_the_whole_says(step: int, is_csv: bool) -> None:
    if is_csv:
        rows = [f'l{n},"a ""b""\n{"x" * (n % 90)}",+20100{n:07d}' for n in range(6_000)]
        body = ("\n\ufeffleadId,name,phone\r\n" + "\r\n\r\n".join(rows)).encode()[1:]
    else:
        lines = [f'{{"leadId": "l{n}", "name": "{"x" * (n % 90)}"}}' for n in range(6_000)]
        body = "\n\n".join([*lines, "{broken"]).encode()
    whole: Reader = CsvReader() if is_csv else NdjsonReader()
    expected = [*whole.feed(body), *whole.close()]
    cutter, pieces = pieces_of(body, step, is_csv=is_csv)
    found = []
    for piece in pieces:
        reader: Reader = (
            CsvReader(cutter.header, piece.line - 1) if is_csv else NdjsonReader(piece.line - 1)
        )
        lines_of_it = [*reader.feed(piece.body), *reader.close()]
        assert len(lines_of_it) == piece.records
        found += lines_of_it
    assert found == expected
    assert len(pieces) > 2
    assert max(len(piece.body) for piece in pieces) < 2 * PART_BYTES


@pytest.mark.parametrize(
    "body", [b'leadId\n"' + b"x" * 400_000, b"name,email\nx,y\n", b"leadId,leadId\n", b"x" * 90_000]
)
def test_what_is_no_table_is_refused_at_the_door(body: bytes) -> None:
    with pytest.raises(Problem):
        pieces_of(body, 65_536, is_csv=True)


async def test_an_import_saves_what_is_right_and_names_the_rest(gateway: Gateway) -> None:
    rows = [f"lead-{n},lead{n}@example.com,+2010{n:08d}" for n in range(3_000)]
    rows[7] = "lead-7,no address,+201000000007"
    rows[2_500] = "lead-2500,a@example.com"
    body = "\n".join(["leadId,email,phone", *rows]).encode()
    job_id = await accepted(gateway, IMPORT, content=body, headers=CSV)
    job = await ended(gateway, job_id)
    assert (job["status"], job["total"], job["done"]) == ("succeeded", 3_000, 3_000)
    assert (job["created"], job["updated"], job["failed"]) == (2_998, 0, 2)
    first = await gateway.client.get(f"/api/automation/job/{job_id}/faults?limit=1")
    cursor = first.json()["nextCursor"]
    second = await gateway.client.get(
        f"/api/automation/job/{job_id}/faults?limit=1&cursor={cursor}"
    )
    assert [(*first.json()["items"], *second.json()["items"])[n]["line"] for n in (0, 1)] == [
        9, 2_502
    ]  # fmt: skip
    assert first.json()["items"][0]["pointer"] == "/email"
    assert second.json()["nextCursor"] is None
    lead = await gateway.client.get("/api/automation/lead/lead-2999")
    assert lead.json()["email"] == "lead2999@example.com"
    assert not await gateway.sql.fetchval(
        "SELECT count(*) FROM gateway.job_parts WHERE workspace = $1", gateway.workspace
    )
    listed = (await gateway.client.get("/api/automation/jobs?kind=leads_import")).json()
    assert [each["jobId"] for each in listed["items"]] == [job_id]
    assert (await gateway.client.get("/api/automation/jobs?status=failed")).json()["items"] == []


async def test_a_repeated_call_makes_no_other_job(gateway: Gateway) -> None:
    headers = {**CSV, "idempotency-key": f"k-{uuid4()}"}
    body = b"leadId,name\nsara,Sara\n"
    answers = await asyncio.gather(
        *(gateway.client.post(IMPORT, content=body, headers=headers) for _ in range(5))
    )
    assert {each.status_code for each in answers} == {202}
    (job_id,) = {each.json()["jobId"] for each in answers}
    other = await gateway.client.post(IMPORT, content=body + b"x,X\n", headers=headers)
    assert (other.status_code, other.json()["errors"][0]["parameter"]) == (422, "Idempotency-Key")
    await ended(gateway, job_id)
    assert (
        await gateway.sql.fetchval(
            "SELECT count(*) FROM gateway.jobs WHERE workspace = $1", gateway.workspace
        )
        == 1
    )


async def test_each_lead_of_a_start_gets_one_run(gateway: Gateway) -> None:
    await gateway.put_welcome()
    ids = [f"many-{n}" for n in range(450)]
    lines = "\n".join(["leadId,name", *(f"{each},N" for each in ids)]).encode()
    await ended(gateway, await accepted(gateway, IMPORT, content=lines, headers=CSV))
    before = await gateway.count_requests()
    path = "/api/automation/workflow/welcome/runs"
    job_id = await accepted(
        gateway, path, json={"leadIds": [*ids[:300], "nobody", *ids[300:]], "input": {"x": 1}}
    )
    job = await ended(gateway, job_id)
    assert (job["total"], job["done"], job["created"], job["failed"]) == (451, 451, 450, 1)
    faults = (await gateway.client.get(f"/api/automation/job/{job_id}/faults")).json()["items"]
    assert faults == [{"line": 301, "pointer": "/leadIds/300", "message": "there is no such lead"}]
    assert await gateway.count_requests() == before + 450
    runs, query = [], "limit=200"
    while query:
        page = (await gateway.client.get(f"/api/automation/job/{job_id}/runs?{query}")).json()
        runs += page["items"]
        query = page["nextCursor"] and f"limit=200&cursor={page['nextCursor']}"
    assert [each["leadId"] for each in runs] == ids
    assert [each["line"] for each in runs] == [*range(1, 301), *range(302, 452)]
    (found,) = await gateway.find_requests(runs[-1]["runId"])
    by = found.request.requested_by
    assert by is not None
    assert (by.kind, by.name) == ("key", "tests")
    assert (
        await gateway.sql.fetchval(
            "SELECT workspace FROM gateway.api_keys WHERE id = $1::text::uuid", by.id
        )
        == gateway.workspace
    )
    last = (
        await gateway.client.get(f"/api/automation/job/{job_id}/runs?sort=-line&limit=1")
    ).json()
    assert last["items"] == runs[-1:]
    assert (await gateway.client.get(runs[7]["statusUrl"])).json()["runId"] == runs[7]["runId"]
    (started,) = await gateway.find_requests(runs[7]["runId"])
    assert started.request.lead.id == "many-7"
    for body, status in (
        ({"leadIds": ["a", "a"]}, 422),
        ({"leadIds": []}, 422),
        ({}, 422),
    ):
        assert (await gateway.client.post(path, json=body)).status_code == status
    missing = await gateway.client.post(
        "/api/automation/workflow/none/runs", json={"leadIds": ["a"]}
    )
    assert missing.status_code == 403


async def test_letters_are_replayed_by_filter_and_only_those_not_replayed(gateway: Gateway) -> None:
    run_id = str(uuid4())
    wanted = {await add_letter(gateway, reason="this", run_id=run_id) for _ in range(3)}
    await add_letter(gateway, reason="this", run_id=run_id, replayed_at=NOON)
    await add_letter(gateway, reason="this", run_id=None)
    await add_letter(gateway, reason="that", run_id=run_id)
    job_id = await accepted(gateway, "/api/automation/dead-letters/replay", json={"reason": "this"})
    job = await ended(gateway, job_id)
    assert (job["done"], job["created"], job["failed"]) == (4, 3, 1)
    published = await gateway.find_controls(run_id, 3)
    assert {each["type"] for each in published} == {ReplayLetter.TYPE}
    assert {each["letterId"] for each in published} == wanted


async def test_a_step_counts_once_and_only_for_who_has_the_lease(gateway: Gateway) -> None:
    body = "\n".join(["leadId", *(f"l-{n}" for n in range(20_000))]).encode()
    async with job_store(gateway) as store:
        # A gateway that has taken the job, and then does nothing.
        await gateway.sql.execute("UPDATE gateway.jobs SET leased_until = now() + interval '1 h'")
        job_id = await accepted(gateway, IMPORT, content=body, headers=CSV)
        await gateway.client.post(f"/api/automation/job/{job_id}/cancel")
        again = await accepted(gateway, IMPORT, content=body, headers=CSV)
        lease = uuid4()
        taken = await store.lease(lease)
        while taken is not None and taken.id != again:
            taken = await store.lease(lease)
        if taken is not None:
            step = Step("1", is_last=False, part=0, done=5)
            assert not await store.advance(taken, uuid4(), step), "another's lease"
            assert await store.advance(taken, lease, step)
            assert not await store.advance(taken, lease, step), "the same step again"
            await gateway.sql.execute(
                "UPDATE gateway.jobs SET leased_until = now() - interval '1 s' WHERE id = $1", again
            )
        job = await ended(gateway, again)
        assert job["status"] == "succeeded"
        canceled = (await gateway.client.get(f"/api/automation/job/{job_id}")).json()
        assert canceled["status"] in {"cancelled", "succeeded"}
        told = await gateway.client.post(f"/api/automation/job/{again}/cancel")
        assert told.status_code == 409


async def test_a_job_whose_time_is_over_fails(gateway: Gateway) -> None:
    async with job_store(gateway) as store:
        job_id = str(uuid4())
        await gateway.sql.execute(
            "INSERT INTO gateway.jobs (id, workspace, kind, status, request, created_by, "
            "created_at, expires_at) "
            "VALUES ($1, $2, 'letters_replay', 'queued', '{}', 'x', $3, $3)",
            job_id, gateway.workspace, NOON,
        )  # fmt: skip
        await store.tidy({"code": "time_limit"})
        job = await ended(gateway, job_id)
        assert (job["status"], job["error"]["code"]) == ("failed", "time_limit")
        await gateway.sql.execute(
            "UPDATE gateway.jobs SET ended_at = now() - $2::interval WHERE id = $1",
            job_id, timedelta(days=8),
        )  # fmt: skip
        await store.tidy({"code": "time_limit"})
    assert (await gateway.client.get(f"/api/automation/job/{job_id}")).status_code == 404


async def test_a_workspace_has_so_many_open_jobs_at_most(gateway: Gateway) -> None:
    # Received by another gateway, which nobody works on: the runners leave them.
    await gateway.sql.execute(
        "INSERT INTO gateway.jobs (id, workspace, kind, request, created_by, expires_at) "
        "SELECT gen_random_uuid(), $1, 'leads_import', '{}', 'x', now() + interval '1 h' "
        "FROM generate_series(1, $2)",
        gateway.workspace, MOST_OPEN - 1,
    )  # fmt: skip
    await ended(gateway, await accepted(gateway, IMPORT, content=b"leadId\nx\n", headers=CSV))
    await gateway.sql.execute(
        "INSERT INTO gateway.jobs (id, workspace, kind, request, created_by, expires_at) "
        "VALUES (gen_random_uuid(), $1, 'leads_import', '{}', 'x', now() + interval '1 h')",
        gateway.workspace,
    )
    headers = {**CSV, "idempotency-key": "k"}
    refused = await gateway.client.post(IMPORT, content=b"leadId\nx\n", headers=headers)
    assert (refused.status_code, str(MOST_OPEN) in refused.text) == (409, True)
    await gateway.sql.execute(
        "DELETE FROM gateway.jobs WHERE workspace = $1 AND status = 'receiving'", gateway.workspace
    )
    await ended(gateway, await accepted(gateway, IMPORT, content=b"leadId\nx\n", headers=headers))


class Sloppy:
    """Work whose faults hold U+0000, which PostgreSQL does not take."""

    async def take_step(self, _job: Job) -> Step:
        fault = JobFault(line=1, pointer="/\0", message="x")
        return Step("1", is_last=True, part=0, done=1, failed=1, faults=[fault])


class StumblingStore(JobStore):
    """Fails at its first look in a way that nobody foresaw; then has one job."""

    def __init__(self, database: Database, gateway: Gateway, job: Job) -> None:
        super().__init__(database, job_sealer(database, gateway.settings))
        self._gateway = gateway
        self._jobs: list[Job | Exception] = [job, ValueError("unforeseen")]

    async def lease(self, lease: UUID) -> Job | None:
        found = self._jobs.pop() if self._jobs else None
        if isinstance(found, Exception):
            raise found
        if found is not None:
            await self._gateway.sql.execute(
                "UPDATE gateway.jobs SET lease = $1, status = 'running' WHERE id = $2",
                lease, found.id,
            )  # fmt: skip
        return found


async def test_what_nobody_foresaw_ends_one_job_at_most(gateway: Gateway) -> None:
    job_id = str(uuid4())
    # Leased, so that the gateway's own runner leaves it.
    await gateway.sql.execute(
        "INSERT INTO gateway.jobs (id, workspace, kind, status, request, created_by, expires_at, "
        "leased_until) VALUES ($1, $2, 'letters_replay', 'queued', '{}', 'x', "
        "now() + interval '1 h', now() + interval '1 h')",
        job_id, gateway.workspace,
    )  # fmt: skip
    job = Job(job_id, gateway.workspace, "letters_replay", None, {}, "x", NOON, "")
    async with open_database(gateway.settings, purpose="tests", size=1) as database:
        store = StumblingStore(database, gateway, job)
        runner = asyncio.create_task(JobRunner(store, Works(Sloppy(), Sloppy(), Sloppy())).run())
        try:
            told = await ended(gateway, job_id)
            assert not runner.done()
        finally:
            runner.cancel()
    assert (told["status"], told["error"]["code"]) == ("failed", "internal_error")


async def test_jobs_are_their_workspaces_alone(gateway: Gateway) -> None:
    job_id = await accepted(gateway, IMPORT, content=b"leadId\nx\n", headers=CSV)
    stranger = {"x-api-key": await gateway.add_key("another")}
    imported = await gateway.client.get(f"/api/automation/job/{job_id}/runs")
    assert imported.json() == {"items": [], "nextCursor": None}
    for method, path in (("GET", ""), ("GET", "/faults"), ("GET", "/runs"), ("POST", "/cancel")):
        url = f"/api/automation/job/{job_id}{path}"
        assert (await gateway.client.request(method, url, headers=stranger)).status_code == 404
    for unknown in (str(uuid4()), "none"):
        assert (await gateway.client.get(f"/api/automation/job/{unknown}")).status_code == 404
    for query in ("cursor=!", "cursor=OTk5OTk5OTk5OTk5LzE", "limit=0"):
        url = f"/api/automation/job/{job_id}/faults?{query}"
        assert (await gateway.client.get(url)).status_code == 422
    refused = await gateway.client.post(IMPORT, content=b"x", headers={"content-type": "text/x"})
    assert refused.status_code == 415
