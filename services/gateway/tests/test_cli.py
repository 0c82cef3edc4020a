"""`mirsal keys`."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from gateway.auth.keys import generate_key, is_key
from gateway.cli import app
from typer.testing import CliRunner, Result

from services.gateway.tests.conftest import MakeSettings, open_gateway
from services.gateway.tests.processes import environment_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.settings import GatewaySettings

LEADS = "/api/automation/leads"


@pytest.fixture
def settings(make_settings: MakeSettings) -> "GatewaySettings":
    """Those of the gateways that know the keys; Valkey counts, however busy the machine is."""
    return make_settings(rate_limit_wait_ms=20_000)


@pytest.fixture
def mirsal(settings: "GatewaySettings") -> "Callable[..., Result]":
    """Runs a command with the settings in its environment."""

    def run(*arguments: str, **environment: str) -> Result:
        variables = {**environment_of(settings), **environment}
        named = arguments if arguments[0] == "workspaces" else ("keys", *arguments)
        return CliRunner().invoke(app, list(named), env=variables)

    return run


async def status_with(settings: "GatewaySettings", key: str) -> int:
    """What a call with this key is answered."""
    async with open_gateway(settings) as gateway:
        answer = await gateway.client.get(LEADS, headers={"x-api-key": key})
        return answer.status_code


def test_a_generated_key_is_one_line_and_needs_no_database() -> None:
    done = CliRunner().invoke(app, ["keys", "generate"])
    assert done.exit_code == 0
    assert is_key(done.stdout.rstrip("\n"))


async def run_apart_from_loop(
    mirsal: "Callable[..., Result]", *arguments: str, **environment: str
) -> Result:
    """The commands have a loop of their own."""
    return await asyncio.to_thread(mirsal, *arguments, **environment)


async def test_a_created_key_opens_its_workspace_until_it_is_revoked(
    settings: "GatewaySettings", mirsal: "Callable[..., Result]"
) -> None:
    made = await run_apart_from_loop(mirsal, "create", "--name", "crm", "--workspace", "cli-1")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert await status_with(settings, key) == 200
    listed = await run_apart_from_loop(mirsal, "list", "--workspace", "cli-1")
    (line,) = listed.stdout.splitlines()
    assert key not in listed.stdout
    assert ("crm" in line, "usable" in line, key[:9] in line) == (True, True, True)
    revoked = await run_apart_from_loop(mirsal, "revoke", line.split()[0])
    assert revoked.exit_code == 0
    assert await status_with(settings, key) == 401
    again = await run_apart_from_loop(mirsal, "list", "--workspace", "cli-1")
    assert "revoked" in again.stdout


async def test_a_key_has_its_own_limit_and_end(
    settings: "GatewaySettings", mirsal: "Callable[..., Result]"
) -> None:
    made = await run_apart_from_loop(
        mirsal, "create", "--name", "x", "--workspace", "cli-2", "--rate-limit", "5", "--days", "3"
    )
    async with open_gateway(settings) as gateway:
        answer = await gateway.client.get(LEADS, headers={"x-api-key": made.stdout.strip()})
        assert answer.headers["ratelimit-limit"] == "5"
    listed = await run_apart_from_loop(mirsal, "list", "--workspace", "cli-2")
    assert "5/min" in listed.stdout
    assert "until 20" in listed.stdout


async def test_a_key_has_a_role_and_is_followed_by_another(
    settings: "GatewaySettings", mirsal: "Callable[..., Result]"
) -> None:
    held = ("--role", "owner", "--scope", "leads:read", "--scope", "runs:read", "--workflow", "w")
    made = await run_apart_from_loop(mirsal, "create", "--name", "x", "--workspace", "cli-5", *held)
    first = made.stdout.strip()
    listed = await run_apart_from_loop(mirsal, "list", "--workspace", "cli-5")
    assert "owner (leads:read runs:read) of w" in listed.stdout
    assert "unused" in listed.stdout
    async with open_gateway(settings) as gateway:
        gateway.client.headers["x-api-key"] = first
        assert (await gateway.client.get(LEADS)).status_code == 200
        saved = await gateway.client.put("/api/automation/lead/a", json={})
        assert saved.status_code == 403
    key_id = listed.stdout.split()[0]
    rotated = await run_apart_from_loop(mirsal, "rotate", key_id, "--hours", "0")
    assert rotated.exit_code == 0
    assert await status_with(settings, first) == 401
    assert await status_with(settings, rotated.stdout.strip()) == 200
    listed = await run_apart_from_loop(mirsal, "list", "--workspace", "cli-5")
    assert listed.stdout.count("owner (leads:read runs:read) of w") == 2
    assert "used 20" in listed.stdout
    assert (await run_apart_from_loop(mirsal, "rotate", key_id)).exit_code == 1


async def test_a_workspace_has_its_own_limit(
    settings: "GatewaySettings", mirsal: "Callable[..., Result]"
) -> None:
    create = ("create", "--name", "x", "--workspace", "cli-6")
    first = (await run_apart_from_loop(mirsal, *create)).stdout.strip()
    second = (await run_apart_from_loop(mirsal, *create)).stdout.strip()
    own = (await run_apart_from_loop(mirsal, *create, "--rate-limit", "7")).stdout.strip()

    async def limits() -> list[str | None]:
        async with open_gateway(settings) as gateway:
            answers = [
                await gateway.client.get(LEADS, headers={"x-api-key": key})
                for key in (first, second, own)
            ]
            left = [each.headers.get("ratelimit-remaining") for each in answers]
            return [*(each.headers.get("ratelimit-limit") for each in answers), *left]

    assert await limits() == [None, None, "7", None, None, "6"]
    await run_apart_from_loop(mirsal, "workspaces", "limit", "cli-6", "12")
    assert await limits() == ["12", "12", "7", "11", "10", "5"], "one count for the workspace"
    await run_apart_from_loop(mirsal, "workspaces", "limit", "cli-6")
    assert (await limits())[:3] == [None, None, "7"]


async def test_a_given_key_is_ensured_as_often_as_one_likes(
    settings: "GatewaySettings", mirsal: "Callable[..., Result]"
) -> None:
    key = generate_key()
    arguments = ("ensure", "--name", "local", "--key", key, "--workspace", "cli-3")
    for _ in range(3):
        assert (await run_apart_from_loop(mirsal, *arguments)).exit_code == 0
    listed = await run_apart_from_loop(mirsal, "list", "--workspace", "cli-3")
    assert len(listed.stdout.splitlines()) == 1
    assert await status_with(settings, key) == 200
    await run_apart_from_loop(mirsal, "revoke", listed.stdout.split()[0])
    await run_apart_from_loop(mirsal, *arguments)
    assert await status_with(settings, key) == 200


async def test_the_environment_may_give_the_key_too(
    settings: "GatewaySettings", mirsal: "Callable[..., Result]"
) -> None:
    key = generate_key()
    arguments = ("ensure", "--name", "local", "--workspace", "cli-4")
    assert (await run_apart_from_loop(mirsal, *arguments)).exit_code == 2
    done = await run_apart_from_loop(mirsal, *arguments, MIRSAL_API_KEY=key)
    assert done.exit_code == 0
    assert await status_with(settings, key) == 200


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("ensure", "--name", "x", "--key", "secret"), "mirsal keys generate"),
        (("create", "--name", "x", "--scope", "keys:write"), "editor has not the scope keys:write"),
        (("ensure", "--name", "x", "--key", generate_key()[:-1] + "!"), "ends with a checksum"),
        (("revoke", "00000000-0000-4000-8000-000000000000"), "no such key"),
    ],
)
async def test_a_mistake_ends_with_what_to_do(
    mirsal: "Callable[..., Result]", arguments: tuple[str, ...], text: str
) -> None:
    done = await run_apart_from_loop(mirsal, *arguments)
    assert done.exit_code == 1
    assert text in done.stderr
