"""Leads as tests of other nouns need them."""

import httpx

from services.gateway.tests.conftest import AHMED, Gateway

PATH = "/api/automation/lead/sara"


async def erase_lead(owner: Gateway) -> tuple[httpx.Response, str]:
    """A lead that was there, erased."""
    await owner.client.put(PATH, json=AHMED)
    return await owner.client.delete(PATH), "sara"


DO = {("DELETE", "/api/automation/lead/{leadId}"): erase_lead}
"""How to have each call of leads do what it is for."""
