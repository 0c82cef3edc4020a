"""A workspace that has something of everything."""

from typing import Final

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.listed_addresses import list_address
from services.gateway.tests.saved_credentials import save_credential
from services.gateway.tests.test_letters import add_letter
from services.gateway.tests.test_reading import add_execution, add_run

API: Final = "/api/automation"


async def make_one_of_each(gateway: Gateway, *, is_served: bool = False) -> dict[str, str]:
    """The ids, by the names of path parameters. The caller must be an owner.

    `is_served`: there is an orchestrator, which makes the rows of runs itself.
    """
    client = gateway.client
    await gateway.put_welcome()
    await client.put(f"{API}/lead/sara", json={})
    await save_credential(gateway)
    key = await client.post(f"{API}/keys", json={"name": "crm", "role": "viewer"})
    hook = {"url": "https://hooks.example.com/x", "eventTypes": ["run.failed"]}
    webhook_id = (await client.post(f"{API}/webhooks", json=hook)).json()["webhookId"]
    tested = await client.post(f"{API}/webhook/{webhook_id}/test")
    if is_served:
        config = {"subject": "s", "body": "b"}
        mail = {"leadId": "ahmed", "workflowId": "welcome", "nodeId": "n", "config": config}
        sent = (await client.post(f"{API}/email/send", json=mail)).json()
        run_id, execution = sent["runId"], sent["executionId"]
    else:
        run_id = await add_run(gateway, status="paused", ended_at=None)
        execution = await add_execution(gateway, run_id=run_id, status="waiting", end_time=None)
    job = await client.post(f"{API}/dead-letters/replay", json={"reason": "none"})
    return {
        "workflowId": "welcome",
        "leadId": "ahmed",
        "runId": run_id,
        "executionId": execution,
        "letterId": await add_letter(gateway, run_id=run_id),
        "jobId": job.json()["jobId"],
        "keyId": key.json()["keyId"],
        "webhookId": webhook_id,
        "deliveryId": tested.json()["deliveryId"],
        "credentialId": "support",
        "suppressionId": await list_address(gateway),
    }
