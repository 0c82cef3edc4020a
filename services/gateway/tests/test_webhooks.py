"""Webhook endpoints over REST: made, shown, changed, tested; what the worker says of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from gateway.auth.access import Role
from gateway.settings import GatewaySettings
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from mirsal_runtime.webhook_secrets import SecretSealer, SecretUnreadable
from pydantic import SecretStr

from services.gateway.tests.conftest import Gateway, MakeSettings, open_gateway, run_module
from services.gateway.tests.processes import environment_of

WEBHOOKS = "/api/automation/webhooks"
WEBHOOK = "/api/automation/webhook/"
DRAFT: dict[str, Any] = {
    "url": "https://hooks.example.com/mirsal?a=b",
    "eventTypes": ["run.succeeded", "run.failed"],
}


async def make(gateway: Gateway, **draft: Any) -> dict[str, Any]:
    """A new webhook, as the answer has it."""
    made = await gateway.client.post(WEBHOOKS, json={**DRAFT, **draft})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    assert made.headers["location"] == WEBHOOK + body["webhookId"]
    return body


async def add_delivery(gateway: Gateway, webhook_id: str, state: str, minutes: int = 0) -> UUID:
    """A delivery, as the worker would have it."""
    delivery_id = uuid4()
    await gateway.sql.execute(
        "INSERT INTO webhook_worker.deliveries (id, workspace, endpoint_id, event_type, run_id, "
        "workflow_id, occurrence, occurred_at, data, state, attempts, created_at, ended_at) "
        "VALUES ($1, $2, $3, 'run.failed', gen_random_uuid(), 'welcome', 1, now(), '{}', $4, 2, "
        "now() + make_interval(mins => $5), CASE WHEN $4 <> 'pending' THEN now() END)",
        delivery_id,
        gateway.workspace,
        UUID(webhook_id),
        state,
        minutes,
    )
    return delivery_id


async def find_wishes(gateway: Gateway) -> list[tuple[Any, ...]]:
    """What the worker is to do: kind and delivery."""
    rows = await gateway.sql.fetch(
        "SELECT kind, delivery_id, since FROM gateway.webhook_wishes WHERE workspace = $1 "
        "ORDER BY created_at",
        gateway.workspace,
    )
    return [tuple(row) for row in rows]


async def test_a_secret_is_shown_once_and_stored_sealed(gateway: Gateway) -> None:
    made = await make(gateway, workflowIds=["welcome"], description="the CRM")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert (made["enabled"], made["disabledReason"], made["createdBy"]) == (True, None, "tests")
    read = await gateway.client.get(WEBHOOK + made["webhookId"])
    assert read.json() == made
    listed = await gateway.client.get(WEBHOOKS)
    assert listed.json() == {"items": [made], "nextCursor": None}
    sealed = await gateway.sql.fetchval(
        "SELECT secret FROM gateway.webhook_endpoints WHERE id = $1", UUID(made["webhookId"])
    )
    assert secret.encode() not in sealed
    sealer = sealer_of(gateway.settings)
    assert await sealer.open(sealed, gateway.workspace, UUID(made["webhookId"])) == secret
    with pytest.raises(SecretUnreadable):
        await sealer.open(sealed, "another", UUID(made["webhookId"]))
    with pytest.raises(SecretUnreadable):
        await sealer.open(sealed, gateway.workspace, uuid4())
    with pytest.raises(SecretUnreadable):
        await sealer.open(sealed[:-1] + b"x", gateway.workspace, UUID(made["webhookId"]))


def sealer_of(settings: GatewaySettings, own_keys: str = "") -> SecretSealer:
    return SecretSealer(GivenKeys(settings.vault_keys), SecretStr(own_keys))


async def test_secrets_of_the_release_before_are_taken_over_and_keys_rotated(
    gateway: Gateway, make_settings: MakeSettings
) -> None:
    """While it has keys of its own a gateway seals with them, for workers of the release before."""
    own = write_new_key("own")
    async with open_gateway(make_settings(webhook_keys=SecretStr(own))) as before:
        old = await make(before)
        path = f"{WEBHOOK}{old['webhookId']}/rotate"
        new = (await before.client.post(path, json={"overlapHours": 2})).json()
        place = (before.workspace, UUID(old["webhookId"]))
        read = "SELECT secret, previous_secret FROM gateway.webhook_endpoints WHERE id = $1"
        sealed = await gateway.sql.fetchrow(read, place[1])
        assert sealed is not None
        assert [each[:4] for each in sealed] == [b"own:", b"own:"]
        given = environment_of(before.settings)
        assert run_module("gateway.cli", "vault", "rotate", **given) == "wrapped anew: 0\n"
        taken = run_module("gateway.cli", "vault", "take-webhooks", **given)
        assert taken == "wrapped anew: 1\n"
        settings = make_settings()
        other = write_new_key("second")
        keys = f"{other},{settings.vault_keys.get_secret_value()}"
        turned = {**given, "MIRSAL_WEBHOOK_KEYS": "", "MIRSAL_VAULT_KEYS": keys}
        assert int(run_module("gateway.cli", "vault", "rotate", **turned).split()[-1]) >= 1
        sealed = await gateway.sql.fetchrow(read, place[1])
        assert sealed is not None
        assert {each[:8] for each in sealed} == {b"\x02second:"}
        sealer = SecretSealer(GivenKeys(SecretStr(other)), SecretStr(""))
        opened = [await sealer.open(each, *place) for each in sealed]
        assert opened == [new["secret"], old["secret"]]
        # Back to the key that the other tests have.
        back = {**turned, "MIRSAL_VAULT_KEYS": ",".join(reversed(keys.split(",")))}
        run_module("gateway.cli", "vault", "rotate", **back)


async def test_a_rotated_secret_signs_beside_the_new_one_for_a_while(gateway: Gateway) -> None:
    made = await make(gateway)
    path = f"{WEBHOOK}{made['webhookId']}/rotate"
    rotated = (await gateway.client.post(path, json={"overlapHours": 2})).json()
    assert rotated["secret"] != made["secret"]
    left = datetime.fromisoformat(rotated["previousSecretUntil"]) - datetime.now(UTC)
    assert timedelta(minutes=119) < left < timedelta(minutes=121)
    row = await gateway.sql.fetchrow(
        "SELECT secret, previous_secret FROM gateway.published_webhook_endpoints WHERE id = $1",
        UUID(made["webhookId"]),
    )
    assert row is not None
    sealer = sealer_of(gateway.settings)
    opened = [await sealer.open(each, gateway.workspace, UUID(made["webhookId"])) for each in row]
    assert opened == [rotated["secret"], made["secret"]]
    at_once = (await gateway.client.post(path, json={"overlapHours": 0})).json()
    assert at_once["previousSecretUntil"] is None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "http://127.0.0.1/"}, "/url"),
        ({"url": "http://localhost/"}, "/url"),
        ({"url": "https://user:word@hooks.example/"}, "/url"),
        ({"url": "https://hooks.example:22/"}, "/url"),
        ({"url": "ftp://hooks.example/"}, "/url"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "/url"),
        ({"eventTypes": []}, "/eventTypes"),
        ({"eventTypes": ["run.exploded"]}, "/eventTypes/0"),
        ({"workflowIds": []}, "/workflowIds"),
        ({"secret": "whsec_mine"}, "/secret"),
    ],
)
async def test_what_cannot_be_told_is_refused(
    gateway: Gateway, change: dict[str, Any], pointer: str
) -> None:
    made = await make(gateway)
    answers = [
        await gateway.client.post(WEBHOOKS, json={**DRAFT, **change}),
        await gateway.client.put(WEBHOOK + made["webhookId"], json={**DRAFT, **change}),
    ]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_webhook_is_changed_disabled_and_removed(gateway: Gateway) -> None:
    made = await make(gateway)
    path = WEBHOOK + made["webhookId"]
    changed = await gateway.client.put(path, json={**DRAFT, "enabled": False})
    assert (changed.status_code, changed.json()["enabled"]) == (200, False)
    for ending, body in (("/test", None), ("/redeliver", {"since": "2026-01-01T00:00:00Z"})):
        refused = await gateway.client.post(path + ending, json=body)
        assert refused.status_code == 409, refused.text
    assert (await gateway.client.delete(path)).json()["webhookId"] == made["webhookId"]
    assert (await gateway.client.get(path)).status_code == 404
    assert (await gateway.client.delete(path)).status_code == 404
    assert await find_wishes(gateway) == []


async def test_a_webhook_that_the_worker_disabled_says_why_and_is_enabled_again(
    gateway: Gateway,
) -> None:
    made = await make(gateway)
    await gateway.sql.execute(
        "INSERT INTO webhook_worker.endpoint_states (endpoint_id, workspace, failing_since, "
        "disabled_at, reason) VALUES ($1, $2, now(), now(), 'answered 410')",
        UUID(made["webhookId"]),
        gateway.workspace,
    )
    path = WEBHOOK + made["webhookId"]
    seen = (await gateway.client.get(path)).json()
    assert (seen["enabled"], seen["disabledReason"]) == (False, "answered 410")
    assert (await gateway.client.post(path + "/test")).status_code == 409
    enabled = (await gateway.client.put(path, json=DRAFT)).json()
    assert (enabled["enabled"], enabled["disabledReason"]) == (True, None)
    asked = await gateway.client.post(path + "/test")
    assert asked.status_code == 202
    waiting = (await gateway.client.get(asked.json()["statusUrl"])).json()
    assert (waiting["state"], waiting["eventType"]) == ("pending", "webhook.test")
    assert await find_wishes(gateway) == [("test", None, None)]


async def test_deliveries_are_listed_by_page_and_state_and_sent_again(gateway: Gateway) -> None:
    made = await make(gateway)
    path = WEBHOOK + made["webhookId"]
    states = ("delivered", "dead", "pending", "dead")
    ids = [
        await add_delivery(gateway, made["webhookId"], state, minutes)
        for minutes, state in enumerate(states)
    ]
    other = await make(gateway)
    await add_delivery(gateway, other["webhookId"], "dead")
    found: list[UUID] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await gateway.client.get(f"{path}/deliveries?limit=3{cursor}")).json()
        found += [UUID(item["deliveryId"]) for item in page["items"]]
        cursor = page["nextCursor"] and f"&cursor={page['nextCursor']}"
    assert found == ids
    dead = (await gateway.client.get(f"{path}/deliveries?state=dead")).json()["items"]
    assert [UUID(item["deliveryId"]) for item in dead] == [ids[1], ids[3]]
    one = f"{path}/delivery/{ids[1]}"
    assert (await gateway.client.get(one)).json() == dead[0]
    assert dead[0]["messageId"] == f"msg_{ids[1].hex}"
    again = await gateway.client.post(f"{one}/redeliver")
    assert (again.status_code, again.headers["location"]) == (202, one)
    since = "2026-11-22T00:00:00Z"
    assert (await gateway.client.post(f"{path}/redeliver", json={"since": since})).is_success
    missing = f"{path}/delivery/{uuid4()}"
    assert (await gateway.client.get(missing)).status_code == 404
    assert (await gateway.client.post(f"{missing}/redeliver")).status_code == 404
    elsewhere = f"{WEBHOOK}{other['webhookId']}/delivery/{ids[1]}"
    assert (await gateway.client.get(elsewhere)).status_code == 404
    assert await find_wishes(gateway) == [
        ("redeliver", ids[1], None),
        ("redeliver_dead", None, datetime.fromisoformat(since)),
    ]


async def test_who_may_use_some_workflows_hears_of_these_alone(gateway: Gateway) -> None:
    whole = await make(gateway)
    mine = await make(gateway, workflowIds=["welcome"])
    wider = await make(gateway, workflowIds=["welcome", "orders"])
    key = await gateway.add_key(gateway.workspace, role=Role.EDITOR, workflow_ids=["welcome"])
    gateway.client.headers["x-api-key"] = key
    listed = (await gateway.client.get(WEBHOOKS)).json()["items"]
    assert [item["webhookId"] for item in listed] == [mine["webhookId"]]
    for webhook in (whole, wider):
        path = WEBHOOK + webhook["webhookId"]
        answers = [
            await gateway.client.get(path),
            await gateway.client.delete(path),
            await gateway.client.get(f"{path}/deliveries"),
        ]
        assert [each.status_code for each in answers] == [404, 404, 404]
    for workflow_ids in (None, ["orders"], ["welcome", "orders"]):
        draft = {**DRAFT, "workflowIds": workflow_ids}
        assert (await gateway.client.post(WEBHOOKS, json=draft)).status_code == 403
        changed = await gateway.client.put(WEBHOOK + mine["webhookId"], json=draft)
        assert changed.status_code == 403


async def test_a_workspace_has_so_many_and_an_installation_needs_a_key(
    gateway: Gateway, make_settings: MakeSettings
) -> None:
    for _ in range(50):
        await make(gateway)
    assert (await gateway.client.post(WEBHOOKS, json=DRAFT)).status_code == 409
    async with open_gateway(make_settings(vault_keys="", seal_leads=False)) as keyless:
        assert (await keyless.client.post(WEBHOOKS, json=DRAFT)).status_code == 503
