"""`mirsal lead`: sealing what was stored in the open, erasing."""

import asyncio

from gateway.cli import app
from gateway.settings import GatewaySettings
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from services.gateway.tests.conftest import AHMED, Gateway, MakeSettings, open_gateway
from services.gateway.tests.processes import environment_of

LEAD = "/api/automation/lead/ahmed"
ROW = "SELECT name, email, phone, sealed FROM gateway.leads WHERE workspace = $1"


async def mirsal(settings: GatewaySettings, *arguments: str) -> Result:
    """Run a command with the settings in its environment; it has a loop of its own."""
    environment = environment_of(settings)
    return await asyncio.to_thread(CliRunner().invoke, app, ["lead", *arguments], env=environment)


async def test_leads_that_lie_in_the_open_are_sealed_by_a_command(
    make_settings: MakeSettings,
) -> None:
    async with open_gateway(make_settings(seal_leads=False)) as earlier:
        saved = (await earlier.client.put(LEAD, json=AHMED)).json()
        (row,) = await earlier.sql.fetch(ROW, earlier.workspace)
        assert (row["name"], row["sealed"]) == (AHMED["name"], None)
        done = await mirsal(make_settings(), "seal")
        assert done.exit_code == 0, done.output
        (row,) = await earlier.sql.fetch(ROW, earlier.workspace)
        assert (row["name"], row["email"], row["phone"]) == (None, None, None)
        assert AHMED["email"] not in row["sealed"]
        assert (await earlier.client.get(LEAD)).json() == saved
        again = await mirsal(make_settings(), "seal")
        assert (again.exit_code, again.stdout) == (0, "sealed: 0\n")


async def test_without_keys_nothing_is_sealed(make_settings: MakeSettings) -> None:
    done = await mirsal(make_settings(vault_keys=SecretStr(""), seal_leads=False), "seal")
    assert done.exit_code == 1
    assert "MIRSAL_VAULT_KEYS" in done.stderr


async def test_a_lead_is_erased_by_a_command(gateway: Gateway, make_settings: MakeSettings) -> None:
    await gateway.client.put(LEAD, json=AHMED)
    done = await mirsal(make_settings(), "erase", gateway.workspace, "ahmed")
    assert (done.exit_code, done.stdout) == (0, "erased; runs told: 0\n")
    assert (await gateway.client.get(LEAD)).status_code == 404
    assert await gateway.sql.fetch(ROW, gateway.workspace) == []
    again = await mirsal(make_settings(), "erase", gateway.workspace, "ahmed")
    assert again.exit_code == 1
    assert "no such lead" in again.stderr
