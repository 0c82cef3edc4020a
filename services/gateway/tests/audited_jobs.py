"""The calls of jobs that the audit log tells of, each with the id that it tells."""

from uuid import uuid4

import httpx

from services.gateway.tests.conftest import WELCOME, Gateway

API = "/api/automation"


async def import_as_job(owner: Gateway) -> tuple[httpx.Response, str]:
    csv = {"content-type": "text/csv"}
    answer = await owner.client.post(f"{API}/leads/import", content=b"leadId\nx\n", headers=csv)
    return answer, answer.json()["jobId"]


async def start_as_job(owner: Gateway) -> tuple[httpx.Response, str]:
    await owner.client.put(f"{API}/workflow/hello", json=WELCOME)
    answer = await owner.client.post(f"{API}/workflow/hello/runs", json={"leadIds": ["x"]})
    return answer, answer.json()["jobId"]


async def replay_as_job(owner: Gateway) -> tuple[httpx.Response, str]:
    answer = await owner.client.post(f"{API}/dead-letters/replay", json={})
    return answer, answer.json()["jobId"]


async def cancel_job(owner: Gateway) -> tuple[httpx.Response, str]:
    job_id = str(uuid4())
    await owner.sql.execute(
        "INSERT INTO gateway.jobs (id, workspace, kind, status, request, created_by, expires_at, "
        "leased_until) VALUES ($1, $2, 'letters_replay', 'running', '{}', 'x', "
        "now() + interval '1 h', now() + interval '1 h')",
        job_id,
        owner.workspace,
    )
    return await owner.client.post(f"{API}/job/{job_id}/cancel"), job_id
