"""The lookout: many watch, one statement; places are bounded; nothing is read for nobody."""

import asyncio
from collections.abc import Collection
from uuid import uuid4

import httpx
import pytest
from gateway.store import DatabaseUnavailable
from gateway.watching.lookout import Lookout, NoPlace
from gateway.watching.store import Sight, Subject

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.test_reading import RUN, STATUS, add_execution, add_run

PATIENCE_SECONDS = 20
NEVER_SECONDS = 60.0


class Tables:
    """What a look sees; keeps what was asked for, and is away for some looks."""

    def __init__(self) -> None:
        self.sights: dict[Subject, Sight] = {}
        self.looks: list[set[Subject]] = []
        self.refusals = 0

    async def look(self, subjects: Collection[Subject]) -> dict[Subject, Sight]:
        self.looks.append(set(subjects))
        if self.refusals:
            self.refusals -= 1
            raise DatabaseUnavailable("away")
        await asyncio.sleep(0.001)
        return {each: self.sights[each] for each in subjects if each in self.sights}


def is_over(sight: Sight) -> bool:
    return sight.status == "succeeded"


def subject(name: str = "a") -> Subject:
    return Subject("execution", name)


async def test_many_watchers_share_each_look_and_nobody_is_asked_for_afterwards() -> None:
    tables = Tables()
    lookout = Lookout(tables.look)
    subjects = [subject(str(number)) for number in range(100)]
    waits = [
        asyncio.create_task(lookout.wait(each, is_over, NEVER_SECONDS))
        for each in subjects
        for _ in range(2)
    ]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(tables.looks) < 3:
            await asyncio.sleep(0.01)
        assert not any(each.done() for each in waits)
        tables.sights = dict.fromkeys(subjects, Sight("succeeded", 0))
        await asyncio.gather(*waits)
    assert set(subjects) in tables.looks
    # Two hundred who wait, and fewer looks than one for each of ten.
    assert len(tables.looks) < 20
    done = len(tables.looks)
    await asyncio.sleep(0.3)
    assert len(tables.looks) == done, "it looks although nobody watches"


async def test_who_sees_what_is_wanted_leaves_the_others_waiting() -> None:
    tables = Tables()
    lookout = Lookout(tables.look)
    tables.sights[subject("a")] = Sight("succeeded", 0)
    other = asyncio.create_task(lookout.wait(subject("b"), is_over, NEVER_SECONDS))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await lookout.wait(subject("a"), is_over, NEVER_SECONDS)
    assert not other.done()
    lookout.close()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await other
        await lookout.wait(subject("c"), is_over, NEVER_SECONDS)


async def test_a_database_that_is_away_for_a_while_is_waited_for() -> None:
    tables = Tables()
    tables.refusals = 3
    tables.sights[subject()] = Sight("succeeded", 0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await Lookout(tables.look).wait(subject(), is_over, NEVER_SECONDS)
    assert len(tables.looks) == 4


async def test_places_are_bounded_and_given_back() -> None:
    lookout = Lookout(Tables().look, most=1)
    with lookout.take_place(), pytest.raises(NoPlace), lookout.take_place():
        pytest.fail("a place that there is not")
    with lookout.take_place():
        pass


async def test_a_run_is_told_when_it_rests(gateway: Gateway) -> None:
    run_id = await add_run(gateway, status="paused", ended_at=None)
    execution_id = await add_execution(gateway, run_id=run_id, status="waiting")
    for path in (RUN.format(run_id), STATUS.format(execution_id)):
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await gateway.client.get(path, params={"wait": "30s"})).status_code == 200
    await gateway.sql.execute(
        "UPDATE orchestrator.runs SET status = 'running', wake_at = now() WHERE id = $1", run_id
    )
    await gateway.sql.execute(
        "UPDATE orchestrator.execution_logs SET status = 'queued' WHERE run_id = $1", run_id
    )
    waits = [
        asyncio.create_task(gateway.client.get(path, params={"wait": "30s"}, timeout=40))
        for path in (RUN.format(run_id), STATUS.format(execution_id))
    ]
    await asyncio.sleep(0.3)
    assert not any(each.done() for each in waits)
    await gateway.sql.execute(
        "UPDATE orchestrator.runs SET status = 'failed', wake_at = NULL, ended_at = now() "
        "WHERE id = $1",
        run_id,
    )
    await gateway.sql.execute(
        "UPDATE orchestrator.execution_logs SET status = 'failed' WHERE run_id = $1", run_id
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        answers = await asyncio.gather(*waits)
    assert [each.json()["status"] for each in answers] == ["failed", "failed"]


async def test_who_waits_in_vain_learns_how_it_is(gateway: Gateway) -> None:
    execution_id = await add_execution(gateway, status="queued")
    answer = await gateway.client.get(STATUS.format(execution_id), params={"wait": "0.1"})
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    unknown = await gateway.client.get(STATUS.format(uuid4()), params={"wait": "30s"})
    assert unknown.status_code == 404


@pytest.mark.parametrize("wait", ["", "31", "31s", "-1s", "s", "1m", "1s ", "30.0000s"])
async def test_a_wrong_wait_is_named(gateway: Gateway, wait: str) -> None:
    for path in (RUN.format(uuid4()), STATUS.format(uuid4()), "/api/automation/code/execute"):
        method = "POST" if path.endswith("execute") else "GET"
        answer = await gateway.client.request(method, path, params={"wait": wait})
        assert answer.status_code == 422
        assert [each["parameter"] for each in answer.json()["errors"]] == ["wait"]


async def test_too_many_who_wait_are_told_to_come_again(gateway: Gateway) -> None:
    execution_id = await add_execution(gateway, status="queued")
    path = STATUS.format(execution_id)

    async def wait(seconds: str) -> httpx.Response:
        return await gateway.client.get(path, params={"wait": seconds})

    places = [gateway.services.lookout.take_place() for _ in range(256)]
    for place in places:
        place.__enter__()
    try:
        refused = await wait("1s")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert (await gateway.client.get(path)).status_code == 200
    finally:
        for place in places:
            place.__exit__(None, None, None)
    assert (await wait("0s")).status_code == 200
