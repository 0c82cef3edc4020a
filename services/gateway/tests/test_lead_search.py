"""Finding leads by an address: as it is stored, sealed or not, whole, and one's own alone."""

from typing import Any

import pytest
from gateway.auth.access import Role

from services.gateway.tests.conftest import AHMED, Gateway, MakeSettings, open_gateway

LEADS = "/api/automation/leads"
PATH = "/api/automation/lead"
PHONE = "+201001234567"
EMAIL = "Ahmed@example.com"
FOUND = [
    ("email=ahmed@example.com", ["ahmed"]),
    ("email=AHMED@EXAMPLE.COM", ["ahmed"]),
    ("email=ahmed@example", []),
    ("email=tag%2Bged@example.com", ["tagged"]),
    ("email=tag+ged@example.com", ["tagged"]),
    ("phone=%2B201001234567", ["ahmed", "sara"]),
    ("phone=+201001234567", ["ahmed", "sara"]),
    ("phone=%2B20%20100%20123-4567", ["ahmed", "sara"]),
    ("phone=0100%20123%204567", ["ahmed", "sara"]),
    ("phone=%2B201001234567&email=ahmed@example.com", ["ahmed"]),
    ("phone=%2B201001234567&email=tag%2Bged@example.com", []),
    ("phone=%2B201001234567&sort=-createdAt", ["sara", "ahmed"]),
    ("phone=%2B201001234567&createdBefore=2000-01-01T00:00:00Z", []),
    ("phone=%2B201009999999", []),
    ("phone=12345", ["odd"]),
]


async def put_people(gateway: Gateway) -> None:
    """Some who share a number, and some who do not."""
    people: dict[str, dict[str, Any]] = {
        "ahmed": {**AHMED, "email": EMAIL},
        "sara": {"phone": "0100 123 4567", "locale": "ar-EG", "email": "sara@example.com"},
        "tagged": {"email": "tag+ged@example.com"},
        "odd": {"phone": "12345"},
        "nobody": {"name": "ahmed@example.com", "fields": {"phone": PHONE}},
    }
    for lead_id, lead in people.items():
        assert (await gateway.client.put(f"{PATH}/{lead_id}", json=lead)).status_code == 201


async def find(gateway: Gateway, query: str) -> list[str]:
    """The ids of the leads that are found."""
    answer = await gateway.client.get(f"{LEADS}?{query}")
    assert answer.status_code == 200, answer.text
    return [each["leadId"] for each in answer.json()["items"]]


@pytest.mark.parametrize("seals", [True, False])
async def test_leads_are_found_by_an_address(make_settings: MakeSettings, *, seals: bool) -> None:
    async with open_gateway(make_settings(seal_leads=seals, default_region="EG")) as gateway:
        await put_people(gateway)
        rows = await gateway.sql.fetch(
            "SELECT email FROM gateway.leads WHERE workspace = $1 AND email IS NOT NULL",
            gateway.workspace,
        )
        assert bool(rows) is not seals
        for query, expected in FOUND:
            assert await find(gateway, query) == expected, query
        (ahmed,) = (await gateway.client.get(f"{LEADS}?email={EMAIL}")).json()["items"]
        assert ahmed == (await gateway.client.get(f"{PATH}/ahmed")).json()
        first = (await gateway.client.get(f"{LEADS}?phone=%2B201001234567&limit=1")).json()
        more = f"phone=%2B201001234567&cursor={first['nextCursor']}"
        assert await find(gateway, more) == ["sara"]
        assert (await gateway.client.delete(f"{PATH}/ahmed")).status_code == 200
        assert await find(gateway, "phone=%2B201001234567") == ["sara"]
        assert await find(gateway, f"email={EMAIL}") == []


async def test_what_is_sealed_and_what_is_not_is_found_together(
    make_settings: MakeSettings,
) -> None:
    async with open_gateway(make_settings()) as gateway:
        await gateway.client.put(f"{PATH}/sealed", json={"phone": PHONE})
        async with open_gateway(make_settings(seal_leads=False)) as other:
            other.client.headers["x-api-key"] = gateway.key
            await other.client.put(f"{PATH}/open", json={"phone": PHONE})
            for each in (gateway, other):
                assert await find(each, "phone=%2B201001234567") == ["sealed", "open"]


async def test_nobody_finds_the_leads_of_others(gateway: Gateway) -> None:
    await put_people(gateway)
    headers = {"x-api-key": await gateway.add_key("another")}
    answer = await gateway.client.get(f"{LEADS}?email={EMAIL}", headers=headers)
    assert answer.json() == {"items": [], "nextCursor": None}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("email=nobody", "email"),
        ("email=", "email"),
        ("email=a%00@b.c", "email"),
        ("email=" + "a" * 321, "email"),
        ("phone=none", "phone"),
        ("phone=%2B", "phone"),
        ("phone=", "phone"),
        ("phone=%00", "phone"),
        ("phone=" + "1" * 65, "phone"),
    ],
)
async def test_what_is_no_address_is_refused(gateway: Gateway, query: str, parameter: str) -> None:
    answer = await gateway.client.get(f"{LEADS}?{query}")
    assert answer.status_code == 422
    assert [each["parameter"] for each in answer.json()["errors"]] == [parameter]


async def test_the_audit_log_tells_by_what_and_never_whom(gateway: Gateway) -> None:
    await put_people(gateway)
    await find(gateway, f"email={EMAIL}")
    query = "/api/automation/audit?action=leads.listed&sort=-createdAt&limit=1"
    owner = {"x-api-key": await gateway.add_key(gateway.workspace, role=Role.OWNER)}
    (entry,) = (await gateway.client.get(query, headers=owner)).json()["items"]
    assert entry["after"] == {"items": 1, "cursor": None, "by": ["email"]}
