"""Leads as tests of other nouns need them."""

import httpx

from services.gateway.tests.conftest import AHMED, Gateway

PATH = "/api/automation/lead/sara"


async def erase_lead(owner: Gateway) -> tuple[httpx.Response, str]:
    """A lead that was there, erased."""
    await owner.client.put(PATH, json=AHMED)
    return await owner.client.delete(PATH), "sara"


async def read_lead(owner: Gateway) -> tuple[httpx.Response, str]:
    """A lead, read."""
    await owner.client.put(PATH, json=AHMED)
    return await owner.client.get(PATH), "sara"


_ROUTE = "/api/automation/lead/{leadId}"
DO = {("DELETE", _ROUTE): erase_lead, ("GET", _ROUTE): read_lead}
"""How to have each call of leads do what it is for."""
