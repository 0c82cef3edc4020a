"""A gateway dies at work on a job: another goes on, no lead is lost and none is started twice."""

import asyncio
import secrets
import signal
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from gateway.settings import GatewaySettings
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1

from services.gateway.tests.conftest import ASKED, WELCOME, MakeSettings, store_key, type_of
from services.gateway.tests.processes import free_port, run_gateway
from services.gateway.tests.test_jobs import CSV, IMPORT

API = "/api/automation"
LEADS = 16_000
STARTED = 5_000
WAIT_SECONDS = 60


async def wait_for(client: httpx.AsyncClient, url: str, *, has_ended: bool) -> dict[str, Any]:
    """The job once it has ended, or once some of it is done."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            job: dict[str, Any] = (await client.get(url)).json()
            if job["endedAt"] is not None if has_ended else job["done"] > 0:
                return job
            await asyncio.sleep(0.01)


async def work_off(settings: GatewaySettings, key: str, path: str, **options: Any) -> Any:
    """The job, made and begun by a gateway that was killed at it, and ended by the next one."""
    headers = {"x-api-key": key}
    async with (
        run_gateway(settings, free_port()) as victim,
        httpx.AsyncClient(base_url=victim.url, headers=headers, timeout=30) as client,
    ):
        await client.put(f"{API}/workflow/welcome", json=WELCOME)
        answer = await client.post(path, **options)
        assert answer.status_code == 202, answer.text
        url = answer.json()["statusUrl"]
        begun = await wait_for(client, url, has_ended=False)
        victim.signal(signal.SIGKILL)
        await victim.wait()
    assert begun["endedAt"] is None, "it was done too soon to be killed"
    async with (
        run_gateway(settings, free_port()) as next_one,
        httpx.AsyncClient(base_url=next_one.url, headers=headers) as client,
    ):
        job = await wait_for(client, url, has_ended=True)
    assert (job["status"], job["failed"]) == ("succeeded", 0), job
    assert job["done"] > begun["done"], "nothing was left for the next one"
    return job


async def runs_by_lead(settings: GatewaySettings, workspace: str) -> dict[str, set[str]]:
    """The ids of the runs that were asked for, for each lead of a workspace."""
    found: dict[str, set[str]] = {}
    consumer = AIOKafkaConsumer(
        settings.topic_prefix + EXECUTIONS_REQUESTED_V1.name,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        while batches := await consumer.getmany(timeout_ms=2_000):
            for record in (each for records in batches.values() for each in records):
                if type_of(record) == ASKED:
                    asked = RunRequested.model_validate_json(record.value or b"")
                    if asked.workspace == workspace:
                        found.setdefault(asked.lead.id, set()).add(asked.run_id)
    finally:
        await consumer.stop()
    return found


@pytest.mark.timeout(240)
async def test_another_gateway_goes_on_with_an_import_and_with_a_start(
    make_settings: MakeSettings,
) -> None:
    settings, workspace = make_settings(), f"w-{secrets.token_hex(4)}"
    key = await store_key(settings, workspace)
    ids = [f"k-{number}" for number in range(LEADS)]
    rows = [f"{each},{each}@example.com,+2010{n:08d}" for n, each in enumerate(ids)]
    body = "\n".join(["leadId,email,phone", *rows]).encode()
    job = await work_off(settings, key, IMPORT, content=body, headers=CSV)
    assert (job["total"], job["done"]) == (LEADS, LEADS)
    sql = await asyncpg.connect(settings.database_url.get_secret_value())
    saved = await sql.fetchval("SELECT count(*) FROM gateway.leads WHERE workspace = $1", workspace)
    await sql.close()
    assert saved == LEADS

    path = f"{API}/workflow/welcome/runs"
    job = await work_off(settings, key, path, json={"leadIds": ids[:STARTED]})
    assert (job["done"], job["created"]) == (STARTED, STARTED)
    found = await runs_by_lead(settings, workspace)
    assert set(found) == set(ids[:STARTED]), "a lead was lost"
    assert {len(runs) for runs in found.values()} == {1}, "a lead was started twice"
