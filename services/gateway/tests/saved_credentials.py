"""A credential as tests of other nouns need it."""

import httpx

from services.gateway.tests.conftest import Gateway

PATH = "/api/automation/credential/support"


async def save_credential(owner: Gateway) -> tuple[httpx.Response, str]:
    """A mail server's account; the answer, and its id."""
    account = {"type": "smtp", "host": "mail.example", "username": "a", "password": "s3cr3t"}
    return await owner.client.put(PATH, json={"account": account}), "support"


async def delete_credential(owner: Gateway) -> tuple[httpx.Response, str]:
    """The same, when it is gone."""
    await save_credential(owner)
    return await owner.client.delete(PATH), "support"


_ROUTE = "/api/automation/credential/{credentialId}"
DO = {("PUT", _ROUTE): save_credential, ("DELETE", _ROUTE): delete_credential}
"""How to have each call of credentials do what it is for."""
