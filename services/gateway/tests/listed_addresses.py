"""Listed addresses as tests of other nouns need them."""

import httpx

from services.gateway.tests.conftest import Gateway

API = "/api/automation"


async def list_address(owner: Gateway, address: str = "nobody@example.com") -> str:
    """The id of an address that may not be written to."""
    draft = {"channel": "email", "address": address}
    answer = await owner.client.post(f"{API}/suppressions", json=draft)
    assert answer.status_code == 200, answer.text
    suppression_id: str = answer.json()["suppressionId"]
    return suppression_id


async def save(owner: Gateway) -> tuple[httpx.Response, str]:
    draft = {"channel": "whatsapp", "address": "+966501234567", "reason": "said stop"}
    answer = await owner.client.post(f"{API}/suppressions", json=draft)
    return answer, answer.json()["suppressionId"]


async def import_many(owner: Gateway) -> tuple[httpx.Response, str]:
    items = [{"channel": "email", "address": f"i{number}@example.com"} for number in range(3)]
    answer = await owner.client.post(f"{API}/suppressions/import", json={"items": items})
    return answer, ""


async def remove(owner: Gateway) -> tuple[httpx.Response, str]:
    suppression_id = await list_address(owner)
    return await owner.client.delete(f"{API}/suppression/{suppression_id}"), suppression_id


async def hold(owner: Gateway) -> tuple[httpx.Response, str]:
    return await owner.client.put(f"{API}/sending/email", json={"onlyListed": True}), "email"


DO = {
    ("POST", f"{API}/suppressions"): save,
    ("POST", f"{API}/suppressions/import"): import_many,
    ("DELETE", f"{API}/suppression/{{suppressionId}}"): remove,
    ("PUT", f"{API}/sending/{{channel}}"): hold,
}
"""How to have each call do what it is for."""
