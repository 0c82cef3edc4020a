"""How many runs a workspace may have under way: none beyond, and room again once some ended."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import httpx
import pytest
from gateway.jobs.store import LASTS
from gateway.runs.bound import HELD_SECONDS, LOOK_SECONDS, RunBound
from gateway.runs.store import UnderWay
from mirsal_contracts.controls import RetryRun
from pydantic import ValidationError

from services.gateway.tests.conftest import Gateway, MakeSettings, open_gateway
from services.gateway.tests.test_jobs import accepted
from services.gateway.tests.test_reading import add_run
from services.gateway.tests.test_starts import RUN, put_leads

MOST: Final = 10
JOB_SECONDS: Final = 20
DIRECT: Final = {
    "leadId": "ahmed", "config": {"text": "Hi"}, "workflowId": "welcome", "nodeId": "direct",
}  # fmt: skip


@pytest.fixture
async def bounded(make_settings: MakeSettings) -> AsyncIterator[Gateway]:
    """A gateway whose workspaces may have ten runs under way."""
    settings = make_settings(workspace_runs={"*": MOST})
    async with open_gateway(settings) as opened:
        await opened.put_welcome()
        yield opened


async def start(gateway: Gateway, **options: Any) -> httpx.Response:
    return await gateway.client.post(RUN, json={"leadId": "ahmed"}, **options)


async def add_under_way(gateway: Gateway, count: int) -> list[str]:
    """Runs as the orchestrator has them while something is yet to be done for them."""
    return [await write_row(gateway) for _ in range(count)]


async def write_row(gateway: Gateway, **changes: Any) -> str:
    """The row of a run that is under way."""
    run_id = await add_run(gateway, **{"status": "paused", "ended_at": None, **changes})
    await gateway.sql.execute(
        "UPDATE orchestrator.runs SET status = 'running', wake_at = now() WHERE id = $1", run_id
    )
    return run_id


async def end(gateway: Gateway, *run_ids: str, status: str = "succeeded") -> None:
    """The runs are over, which gateways know of at their next look."""
    await gateway.sql.execute(
        "UPDATE orchestrator.runs SET status = $2, wake_at = NULL, revision = revision + 1, "
        "ended_at = CASE WHEN $2 <> 'paused' THEN now() END WHERE id = ANY ($1::uuid[])",
        run_ids,
        status,
    )
    await asyncio.sleep(LOOK_SECONDS)


def assert_full(answer: httpx.Response, detail: str) -> None:
    assert answer.status_code == 429, answer.text
    assert answer.json() == {
        "error": "Too many runs under way",
        "type": "urn:mirsal:problem:too-many-runs",
        "title": "Too many runs under way",
        "status": 429,
        "detail": detail,
        "retryAfter": 1,
    }
    assert answer.headers["retry-after"] == "1"


async def test_fifty_parallel_starts_get_the_places_that_there_are(bounded: Gateway) -> None:
    running = await add_under_way(bounded, 3)
    before = await bounded.count_requests()
    answers = await asyncio.gather(*(start(bounded) for _ in range(50)))
    taken = [each.json()["runId"] for each in answers if each.status_code == 202]
    assert len(taken) == MOST - 3
    for answer in answers:
        if answer.status_code != 202:
            assert_full(answer, "This workspace has 10 runs under way, and may have 10.")
    assert await bounded.count_requests() == before + len(taken), "what is refused is not published"
    await asyncio.sleep(LOOK_SECONDS)
    assert (await start(bounded)).status_code == 429, "a run that has no row yet is under way"
    for run_id in taken:
        await write_row(bounded, id=run_id)
    await end(bounded, *running)
    answers = await asyncio.gather(*(start(bounded) for _ in range(20)))
    assert sum(each.status_code == 202 for each in answers) == 3, "counted once with its row"


async def test_other_workspaces_have_bounds_of_their_own(bounded: Gateway) -> None:
    await add_under_way(bounded, MOST)
    assert (await start(bounded)).status_code == 429
    async with open_gateway(bounded.settings) as other:
        await other.put_welcome()
        key = {"x-api-key": other.key}
        # Through the gateway that refuses the first one.
        assert (await start(bounded, headers=key)).status_code == 202
    direct = await bounded.client.post("/api/automation/whatsapp/send", json=DIRECT)
    assert_full(direct, "This workspace has 10 runs under way, and may have 10.")


async def test_many_leads_start_all_or_none(bounded: Gateway) -> None:
    await add_under_way(bounded, 7)
    names = [f"l{number}" for number in range(4)]
    await put_leads(bounded, *names)
    before = await bounded.count_requests()
    answer = await bounded.client.post(RUN, json={"leadIds": names})
    assert_full(answer, "This workspace has 7 runs under way, and may have 10. These are 4 more.")
    assert await bounded.count_requests() == before
    told = await bounded.sql.fetchval(
        "SELECT count(*) FROM gateway.audit_inbox WHERE workspace = $1 AND action = 'runs.started'",
        bounded.workspace,
    )
    assert told == 0, "nothing was started"
    assert (await bounded.client.post(RUN, json={"leadIds": names[:3]})).status_code == 202
    assert (await start(bounded)).status_code == 429


async def test_more_than_there_is_ever_room_for_are_not_to_be_tried_again(
    bounded: Gateway,
) -> None:
    names = [f"l{number}" for number in range(MOST + 1)]
    await put_leads(bounded, *names)
    answer = await bounded.client.post(RUN, json={"leadIds": names})
    assert (answer.status_code, answer.headers.get("retry-after")) == (422, None)
    assert answer.json()["type"] == "urn:mirsal:problem:too-many-runs"
    assert (await bounded.client.post(RUN, json={"leadIds": names[1:]})).status_code == 202


async def test_a_repeat_is_answered_as_the_first_and_a_refused_call_takes_no_key(
    bounded: Gateway,
) -> None:
    key = {"idempotency-key": "k"}
    refused = {"idempotency-key": "refused"}
    first = await start(bounded, headers=key)
    running = await add_under_way(bounded, MOST - 1)
    await asyncio.sleep(LOOK_SECONDS)
    assert (await start(bounded, headers=refused)).status_code == 429
    again = await start(bounded, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    assert (await start(bounded, headers=refused)).status_code == 429
    await end(bounded, *running[:1])
    parallel = await asyncio.gather(*(start(bounded, headers=refused) for _ in range(5)))
    ids = {each.json().get("runId") for each in parallel if each.status_code == 202}
    assert len(ids) == 1, "one place was left, and one call has it however often it is made"


async def test_a_retry_takes_a_place(bounded: Gateway) -> None:
    over = await add_run(
        bounded, status="failed", ended_at=await bounded.sql.fetchval("SELECT now()")
    )
    running = await add_under_way(bounded, MOST)
    retry = f"/api/automation/run/{over}/retry"
    assert_full(
        await bounded.client.post(retry), "This workspace has 10 runs under way, and may have 10."
    )
    await end(bounded, *running[:1], status="paused")
    assert (await bounded.client.post(retry)).status_code == 202
    (found,) = await bounded.find_controls(over)
    assert found["type"] == RetryRun.TYPE
    await asyncio.sleep(LOOK_SECONDS)
    assert (await start(bounded)).status_code == 429, (
        "though its row says as yet that it has failed"
    )


async def read_job(gateway: Gateway, job_id: str, **wanted: Any) -> dict[str, Any]:
    """The job once it says so; one that waits for room is given its turn at once."""
    async with asyncio.timeout(JOB_SECONDS):
        while True:
            job: dict[str, Any] = (await gateway.client.get(f"/api/automation/job/{job_id}")).json()
            if wanted.items() <= job.items():
                return job
            await gateway.sql.execute(
                "UPDATE gateway.jobs SET leased_until = NULL WHERE id = $1 AND lease IS NULL",
                job_id,
            )
            await asyncio.sleep(0.1)


async def read_started(gateway: Gateway, job_id: str) -> dict[str, str]:
    """The leads for which the job has started runs, and these."""
    answer = await gateway.client.get(f"/api/automation/job/{job_id}/runs")
    return {each["leadId"]: each["runId"] for each in answer.json()["items"]}


async def test_a_job_waits_for_room_and_lets_others_pass(bounded: Gateway) -> None:
    names = [f"l{number}" for number in range(MOST + 4)]
    await put_leads(bounded, *names[:-1])
    running = await add_under_way(bounded, MOST - 2)
    before = await bounded.count_requests()
    path = "/api/automation/workflow/welcome/runs"
    job_id = await accepted(bounded, path, json={"leadIds": names})
    assert (await read_job(bounded, job_id, done=2))["status"] == "running"
    assert list(await read_started(bounded, job_id)) == names[:2]
    body: dict[str, Any] = {"content": b"leadId\nx\n", "headers": {"content-type": "text/csv"}}
    other = await accepted(bounded, "/api/automation/leads/import", **body)
    assert (await read_job(bounded, other, status="succeeded"))["created"] == 1
    await bounded.sql.execute(
        "UPDATE gateway.jobs SET expires_at = now() + interval '5 s' WHERE id = $1", job_id
    )
    await end(bounded, *running)
    job = await read_job(bounded, job_id, done=MOST)
    assert (job["status"], job["failed"]) == ("running", 0)
    left = await bounded.sql.fetchval(
        "SELECT expires_at - now() FROM gateway.jobs WHERE id = $1", job_id
    )
    assert left > LASTS / 2, "its time is not over because it waits"
    begun = await read_started(bounded, job_id)
    assert await bounded.count_requests() == before + len(begun) == before + MOST
    for run_id in begun.values():
        await write_row(bounded, id=run_id)
    await end(bounded, *begun.values())
    job = await read_job(bounded, job_id, status="succeeded")
    assert (job["done"], job["created"], job["failed"]) == (MOST + 4, MOST + 3, 1)
    assert list(await read_started(bounded, job_id)) == names[:-1]
    assert await bounded.count_requests() == before + MOST + 3, "no run is asked for twice"


async def test_nothing_starts_where_the_runs_cannot_be_counted(bounded: Gateway) -> None:
    before = await bounded.count_requests()
    revoke = "REVOKE SELECT ON orchestrator.published_runs_under_way FROM mirsal_gateway"
    await bounded.sql.execute(revoke)
    try:
        answer = await start(bounded)
    finally:
        await bounded.sql.execute(revoke.replace("REVOKE", "GRANT").replace("FROM", "TO"))
    assert answer.status_code == 503, answer.text
    assert await bounded.count_requests() == before


async def test_a_place_is_given_back_or_runs_out() -> None:
    counts = {"a": 3}
    revisions: dict[str, int] = {}
    now = 0.0

    async def look(_asked: Iterable[str]) -> UnderWay:
        return UnderWay(counts, revisions)

    bound = RunBound({"a": 5}, look, lambda: now)
    assert bound.covers("a")
    assert not bound.covers("b")
    assert await bound.refuse("b", dict.fromkeys("xyz", 0)) is None
    assert await bound.refuse("a", dict.fromkeys("xyz", 0)) is not None
    assert await bound.take("a", "xyz") == 2
    assert await bound.take("a", "xyz") == 2, "who has a place needs no other"
    assert await bound.refuse("a", {"z": 0}) is not None
    bound.give_back("a", "x")
    assert await bound.refuse("a", {"z": 0}) is None
    bound.keep("a", "z")
    now += HELD_SECONDS + 1
    await asyncio.sleep(LOOK_SECONDS)
    assert await bound.take("a", "uvw") == 1, "y came to nothing, z is on its way"
    revisions["z"], counts["a"] = 1, 2
    await asyncio.sleep(LOOK_SECONDS)
    assert await bound.take("a", "uvw") == 3, "z has a row, and is over"


async def test_a_repeat_needs_a_place_where_nothing_shows_its_run() -> None:
    async def look(_asked: Iterable[str]) -> UnderWay:
        return UnderWay({"a": 1}, {"begun": 1})

    bound = RunBound({"a": 2}, look)
    assert await bound.refuse("a", {"begun": 0}, is_repeat=True) is None
    assert await bound.refuse("a", {"lost": 0}, is_repeat=True) is None, "there is room"
    assert await bound.refuse("a", {"lost": 0}, is_repeat=True) is None, "it has a place"
    assert await bound.refuse("a", {"other": 0}, is_repeat=True) is not None
    assert await bound.refuse("a", {"begun": 0}, is_repeat=True) is None


async def test_a_repeat_that_kafka_does_not_take_gives_no_place_of_the_first_back() -> None:
    async def look(_asked: Iterable[str]) -> UnderWay:
        return UnderWay({}, {})

    bound = RunBound({"a": 1}, look)
    assert await bound.refuse("a", {"x": 0}) is None
    bound.keep("a", "x")
    bound.give_back("a", "x")
    assert await bound.refuse("a", {"y": 0}) is not None


async def test_a_repeat_counts_as_a_use_of_its_key(bounded: Gateway) -> None:
    key = {"idempotency-key": "k"}
    first = await start(bounded, headers=key)
    await bounded.sql.execute(
        "UPDATE gateway.idempotency_keys SET issued_at = now() - interval '1 hour' "
        "WHERE workspace = $1",
        bounded.workspace,
    )
    assert (await start(bounded, headers=key)).json() == first.json()
    age = await bounded.sql.fetchval(
        "SELECT extract(epoch FROM now() - issued_at) FROM gateway.idempotency_keys "
        "WHERE workspace = $1",
        bounded.workspace,
    )
    assert age < 60, "else its run would read 404 until it has a row"


async def test_a_repeated_retry_keeps_no_place(bounded: Gateway) -> None:
    over = await add_run(
        bounded, status="failed", ended_at=await bounded.sql.fetchval("SELECT now()")
    )
    bound, key = bounded.services.starts._launcher.bound, {"idempotency-key": "k"}
    retry = f"/api/automation/run/{over}/retry"
    assert (await bounded.client.post(retry, headers=key)).status_code == 202
    assert bound._places[bounded.workspace][over].is_kept
    await bounded.sql.execute(
        "UPDATE orchestrator.runs SET revision = revision + 2 WHERE id = $1", over
    )
    await asyncio.sleep(LOOK_SECONDS)
    assert (await bounded.client.post(retry, headers=key)).status_code == 202
    assert not bound._places[bounded.workspace][over].is_kept


def test_a_bound_is_a_number_for_a_workspace(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make_settings().workspace_runs == {}
    monkeypatch.setenv("MIRSAL_WORKSPACE_RUNS", '{"*": 1000, "trial": 0}')
    assert make_settings().workspace_runs == {"*": 1000, "trial": 0}
    monkeypatch.setenv("MIRSAL_WORKSPACE_RUNS", '{"trial": -1}')
    with pytest.raises(ValidationError):
        make_settings()
