"""`mirsal audit` on a log that somebody with all rights on the database has tampered with."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import asyncpg
import orjson
import pytest
from gateway.audit.chain import BEGINNING
from gateway.audit.entries import Action
from gateway.auth.access import Role
from gateway.cli import app
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.processes import environment_of

COUNT = 6
_COLUMNS = (
    "at, actor_kind, actor_id, actor_name, address, action, object_id, before, after, previous"
)
TAMPERED = {
    "changed": ("UPDATE gateway.audit_log SET object_id = 'x' WHERE workspace = $1 AND seq = 4",
                "row 4 was changed"),
    "changed inside": ("UPDATE gateway.audit_log SET after = jsonb_set(after, '{consent,email}', "
                       "'false') WHERE workspace = $1 AND seq = 4", "row 4 was changed"),
    "removed": ("DELETE FROM gateway.audit_log WHERE workspace = $1 AND seq = 4",
                "row 4 is missing"),
    "removed at the beginning": ("DELETE FROM gateway.audit_log WHERE workspace = $1 AND seq = 1",
                                 "row 1 is missing"),
    "swapped": ("UPDATE gateway.audit_log SET seq = -seq WHERE false AND workspace = $1",
                "row 3 was changed"),
    "inserted": (f"INSERT INTO gateway.audit_log (workspace, seq, {_COLUMNS}, hash) "  # noqa: S608
                 f"SELECT workspace, seq + 1, {_COLUMNS}, hash FROM gateway.audit_log "
                 "WHERE workspace = $1 ORDER BY seq DESC LIMIT 1", f"row {COUNT + 1} was changed"),
    "moved to another workspace": (
        "UPDATE gateway.audit_log SET workspace = 'elsewhere' WHERE workspace = $1 AND seq = 4",
        "row 4 is missing",
    ),
}  # fmt: skip
SWAP = (
    "UPDATE gateway.audit_log SET seq = 1000 WHERE workspace = $1 AND seq = 3",
    "UPDATE gateway.audit_log SET seq = 3 WHERE workspace = $1 AND seq = 5",
    "UPDATE gateway.audit_log SET seq = 5 WHERE workspace = $1 AND seq = 1000",
)

Mirsal = Callable[..., Result]


@pytest.fixture
async def logged(gateway: Gateway) -> Gateway:
    """A workspace whose log has `COUNT` rows."""
    for number in range(COUNT - 1):
        lead = {"consent": {"email": number % 2 == 0}}
        answer = await gateway.client.put(f"/api/automation/lead/l{number}", json=lead)
        assert answer.status_code == 201
    await gateway.services.trail.seal()
    return gateway


async def mirsal(gateway: Gateway, *arguments: str) -> Result:
    """Run a command; it has a loop of its own."""
    variables = environment_of(gateway.settings)
    run = CliRunner().invoke
    return await asyncio.to_thread(run, app, ["audit", *arguments], env=variables)


async def tamper(gateway: Gateway, *statements: str) -> None:
    """What a superuser can do: triggers and rights do not hold him."""
    async with gateway.sql.transaction():
        await gateway.sql.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            await gateway.sql.execute(statement, gateway.workspace)


async def test_an_untouched_log_is_said_to_be_and_its_head_is_printed(logged: Gateway) -> None:
    done = await mirsal(logged, "verify", "--workspace", logged.workspace)
    assert done.exit_code == 0, done.output
    head = await logged.sql.fetchrow(
        "SELECT seq, encode(hash, 'hex') AS hash FROM gateway.audit_log "
        "WHERE workspace = $1 ORDER BY seq DESC LIMIT 1",
        logged.workspace,
    )
    assert head is not None
    known = f"{COUNT}:{head['hash']}"
    assert done.stdout == f"{logged.workspace}  unbroken  {known}\n"
    await logged.client.put("/api/automation/lead/more", json={})
    again = await mirsal(logged, "verify", "--workspace", logged.workspace, "--known", known)
    assert again.exit_code == 0, again.output
    assert f"  {COUNT + 1}:" in again.stdout
    everything = await mirsal(logged, "verify")
    assert logged.workspace in everything.stdout


@pytest.mark.parametrize("how", TAMPERED)
async def test_what_was_done_to_a_row_is_found(logged: Gateway, how: str) -> None:
    statement, finding = TAMPERED[how]
    try:
        await tamper(logged, *(SWAP if how == "swapped" else [statement]))
        done = await mirsal(logged, "verify", "--workspace", logged.workspace)
        assert done.exit_code == 1, done.output
        assert f"{logged.workspace}: {finding}" in done.stderr
        assert "findings" in done.stdout
    finally:
        await tamper(logged, "DELETE FROM gateway.audit_log WHERE workspace IN ($1, 'elsewhere')")


async def test_the_heads_that_gateways_log_show_that_a_log_was_cut_off(gateway: Gateway) -> None:
    with capture_logs() as lines:
        answer = await gateway.client.put("/api/automation/lead/l", json={"name": "L"})
        assert answer.status_code == 201
        async with asyncio.timeout(20):
            while not (heads := heads_in(lines, gateway.workspace)):
                await asyncio.sleep(0.05)
    assert (await mirsal(gateway, "verify", "--workspace", gateway.workspace)).exit_code == 0
    await tamper(gateway, "DELETE FROM gateway.audit_log WHERE workspace = $1")
    known = ("--workspace", gateway.workspace, "--known", heads[-1])
    assert (await mirsal(gateway, "verify", *known)).exit_code == 1


def heads_in(lines: list[MutableMapping[str, Any]], workspace: str) -> list[str]:
    return [
        f"{each['seq']}:{each['head']}"
        for each in lines
        if each["event"] == "audit_head" and each["workspace"] == workspace
    ]


async def test_a_log_that_was_cut_off_differs_from_the_head_that_was_noted(
    logged: Gateway,
) -> None:
    workspace = ("--workspace", logged.workspace)
    known = (await mirsal(logged, "verify", *workspace)).stdout.split()[-1]
    await tamper(logged, "DELETE FROM gateway.audit_log WHERE workspace = $1 AND seq > 4")
    assert (await mirsal(logged, "verify", *workspace)).exit_code == 0
    done = await mirsal(logged, "verify", *workspace, "--known", known)
    assert done.exit_code == 1
    assert "rows 5 to 6 are missing at the end" in done.stderr
    assert (await mirsal(logged, "verify", "--known", known)).exit_code == 1
    assert (await mirsal(logged, "verify", *workspace, "--known", "x")).exit_code == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE gateway.audit_log SET address = ''",
        "DELETE FROM gateway.audit_log",
        "TRUNCATE gateway.audit_log",
        "UPDATE gateway.audit_inbox SET address = ''",
        "TRUNCATE gateway.audit_inbox",
    ],
)
async def test_rows_are_neither_changed_nor_removed(logged: Gateway, statement: str) -> None:
    """Not by the gateway's role, which has no right to, and not by whoever has: a trigger."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append only"):
        await logged.sql.execute(statement)
    async with logged.sql.transaction():
        await logged.sql.execute("SET LOCAL ROLE gateway")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            async with logged.sql.transaction():
                await logged.sql.execute(statement)


async def test_an_export_is_a_line_for_each_row_and_is_recorded(logged: Gateway) -> None:
    done = await mirsal(logged, "export", logged.workspace)
    assert done.exit_code == 0, done.output
    rows = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, COUNT + 2))
    assert rows[0]["previous"] == BEGINNING.hex()
    assert rows[-1]["action"] == Action.AUDIT_EXPORTED
    assert rows[-1]["actor"]["kind"] == "command"
    assert rows[-1]["actor"]["name"] == "mirsal audit export"
    assert {row["workspace"] for row in rows} == {logged.workspace}


async def test_commands_that_change_something_are_recorded(gateway: Gateway) -> None:
    variables = environment_of(gateway.settings)
    workspace = gateway.workspace

    async def run(*arguments: str) -> str:
        done = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=variables)
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    key = (await run("keys", "create", "--name", "crm", "--workspace", workspace)).strip()
    ensure = ("keys", "ensure", "--name", "crm", "--workspace", workspace, "--key", key)
    await run(*ensure)
    await run(*ensure)
    listed = await run("keys", "list", "--workspace", workspace)
    key_id = next(line.split()[0] for line in listed.splitlines() if "crm" in line)
    await run("keys", "rotate", key_id)
    await run("keys", "revoke", key_id)
    await run("keys", "revoke", key_id)
    await run("workspaces", "limit", workspace, "70")
    await run("workspaces", "limit", workspace, "70")
    await run("workspaces", "limit", workspace)
    gateway.client.headers["x-api-key"] = await gateway.add_key(workspace, role=Role.OWNER)
    rows = (await gateway.client.get("/api/automation/audit?limit=200")).json()["items"]
    assert [row["action"] for row in rows if row["actor"]["name"].startswith("mirsal")] == [
        Action.KEY_MADE,
        Action.KEY_ROTATED,
        Action.KEY_REVOKED,
        Action.WORKSPACE_LIMITED,
        Action.WORKSPACE_LIMITED,
    ]
    assert key not in orjson.dumps(rows).decode()
    limits = [row for row in rows if row["action"] == Action.WORKSPACE_LIMITED]
    assert [row["after"]["rateLimitPerMinute"] for row in limits] == [70, None]
    rotated = next(row for row in rows if row["action"] == Action.KEY_ROTATED)
    assert rotated["before"] == {"keyId": key_id}
