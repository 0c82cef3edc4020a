"""The load generator on a real socket: a slow server cannot slow its own measurement down."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from aiohttp import web
from mirsal_testing.bench.load import Load, Plan, name_lead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STALL_SECONDS = 0.4
RATE = 50.0


class Server:
    """Answers each POST with a run id; the first one only after a stall."""

    def __init__(self) -> None:
        self.leads: list[str] = []
        self.url = ""
        self.stalls = False
        self.status = 202

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.leads.append(orjson.loads(await request.read())["leadId"])
        if self.stalls and len(self.leads) == 1:
            await asyncio.sleep(STALL_SECONDS)
        body = orjson.dumps({"runId": f"run-{len(self.leads)}"})
        return web.Response(body=body, status=self.status, content_type="application/json")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    runner = web.ServerRunner(web.Server(server.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/start"
    yield server
    await runner.cleanup()


async def send(server: Server, count: int, connections: int, rate: float | None = None) -> Load:
    plan = Plan(
        url=server.url,
        headers={"x-api-key": "k"},
        body='{"leadId": "bench-0000", "name": "أحمد"}',
        leads=3,
        count=count,
        connections=connections,
        rate=rate,
        report=Path("unused"),
    )
    load = Load(plan)
    await load.open()
    await load.send_all()
    return load


async def test_a_burst_sends_all_and_takes_the_leads_in_turn(server: Server) -> None:
    load = await send(server, count=30, connections=4)
    assert len(load.posts) == 30
    assert {post.run_id for post in load.posts} == {f"run-{number}" for number in range(1, 31)}
    assert sorted(server.leads) == sorted(name_lead(1 + number % 3) for number in range(30))


async def test_what_waits_behind_a_slow_answer_is_late_too(server: Server) -> None:
    server.stalls = True
    load = await send(server, count=20, connections=1, rate=RATE)
    posts = sorted(load.posts, key=lambda post: post.due)
    gaps = [later.due - earlier.due for earlier, later in itertools.pairwise(posts)]
    assert gaps == pytest.approx([1 / RATE] * 19, abs=1e-6)
    # The second was due 20 ms after the first, and could not go before the stall was over.
    assert posts[1].answered - posts[1].due > STALL_SECONDS - 2 / RATE


async def test_refusals_are_reported_as_they_are(server: Server) -> None:
    server.status = 429
    load = await send(server, count=2, connections=1)
    assert [(post.status, post.run_id) for post in load.posts] == [(429, ""), (429, "")]
