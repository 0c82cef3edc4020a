"""Calls of jobs and workflows that the audit log tells of, each with the id that it tells."""

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


async def start_many(owner: Gateway) -> tuple[httpx.Response, str]:
    """A start of one run is told of by the run; this is one of two."""
    await owner.put_welcome()
    await owner.client.put(f"{API}/lead/sara", json={})
    path = f"{API}/workflow/welcome/run"
    for single in ({"leadId": "ahmed"}, {"leadIds": ["ahmed"]}):
        assert (await owner.client.post(path, json=single)).status_code == 202
    answer = await owner.client.post(path, json={"leadIds": ["ahmed", "sara"]})
    return answer, "welcome"


async def deactivate(owner: Gateway) -> tuple[httpx.Response, str]:
    """Twice, of which the second changes nothing."""
    await owner.client.put(f"{API}/workflow/hello", json=WELCOME)
    await owner.client.post(f"{API}/workflow/hello/deactivate")
    return await owner.client.post(f"{API}/workflow/hello/deactivate"), "hello"


async def activate(owner: Gateway) -> tuple[httpx.Response, str]:
    await deactivate(owner)
    return await owner.client.post(f"{API}/workflow/hello/activate"), "hello"


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
