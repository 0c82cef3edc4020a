"""Row-level security: no table without it, nothing without a scope, one connection for many."""

# ruff: noqa: S608 - the names in these statements are the tests' own

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from gateway.store import (
    ROLE,
    Database,
    Everywhere,
    ScopedConnection,
    Transaction,
    open_database,
)

from services.gateway.tests.conftest import AHMED, Gateway, MakeSettings
from services.gateway.tests.test_reading import add_execution, add_run

SCHEMAS = {"gateway": "mirsal_gateway", "orchestrator": "mirsal_orchestrator"}
OF_NO_WORKSPACE = {"alembic_version"}
"""Tables that no service may read."""
BATCH_READERS = ("mirsal_orchestrator", "mirsal_webhook_worker", "webhook_worker", "gateway")
"""Who works on all workspaces' runs; those without `mirsal_` are releases before."""
APART = (
    "((current_setting('mirsal.everywhere'::text, true) = 'on'::text) OR "
    "(workspace = current_setting('mirsal.workspace'::text, true)))"
)
FIND_TABLES = """
SELECT relnamespace::regnamespace::text AS schema, relname AS name,
       relrowsecurity AND relforcerowsecurity AS is_forced,
       has_table_privilege($2::text, pg_class.oid, 'SELECT') AS is_read,
       ARRAY (SELECT polroles[1]::regrole::text || ': ' || pg_get_expr(polqual, polrelid)
                FROM pg_policy WHERE polrelid = pg_class.oid AND polcmd = '*'
                 AND polpermissive AND polwithcheck IS NULL AND cardinality(polroles) = 1
               ORDER BY 1) AS policies,
       (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid) AS policy_count
  FROM pg_class
 WHERE relkind IN ('r', 'p', 'm', 'f') AND relnamespace = $1::text::regnamespace
"""


async def find_open_tables(sql: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """The tables whose rows a service could see without saying of which workspace."""
    found = []
    for schema, role in SCHEMAS.items():
        for table in await sql.fetch(FIND_TABLES, schema, role):
            if table["name"] in OF_NO_WORKSPACE and not table["is_read"]:
                continue
            allowed = {f"{schema}: true", f"{ROLE}: {APART}"}
            if schema == "orchestrator":
                allowed |= {f"{reader}: true" for reader in BATCH_READERS}
            whole = len(table["policies"]) == table["policy_count"]
            if not (table["is_forced"] and whole and set(table["policies"]) <= allowed):
                found.append(f"{schema}.{table['name']}")
    return found


@pytest.fixture
async def database(make_settings: MakeSettings) -> AsyncIterator[Database]:
    """The gateway's way to the database, over one connection."""
    async with open_database(make_settings(), purpose="tests", size=1) as opened:
        yield opened


async def test_every_table_is_kept_apart(gateway: Gateway) -> None:
    assert await find_open_tables(gateway.sql) == [], "guard them: decision 0018 says how"
    transaction = gateway.sql.transaction()
    await transaction.start()
    for schema in SCHEMAS:
        await gateway.sql.execute(f"CREATE TABLE {schema}.careless (workspace text)")
    await gateway.sql.execute("ALTER TABLE gateway.leads NO FORCE ROW LEVEL SECURITY")
    await gateway.sql.execute("CREATE POLICY more ON gateway.api_keys USING (true)")
    await gateway.sql.execute("GRANT SELECT ON gateway.alembic_version TO mirsal_gateway")
    expected = [
        "gateway.alembic_version", "gateway.api_keys", "gateway.careless", "gateway.leads",
        "orchestrator.careless",
    ]  # fmt: skip
    assert sorted(await find_open_tables(gateway.sql)) == expected
    await transaction.rollback()


async def test_services_own_nothing_and_no_policy_is_passed_by(gateway: Gateway) -> None:
    for role in SCHEMAS.values():
        row = await gateway.sql.fetchrow(
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin AS may_more,"
            " EXISTS (SELECT FROM pg_shdepend WHERE refobjid = pg_roles.oid AND deptype = 'o')"
            " AS owns, EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid)"
            " AS is_member FROM pg_roles WHERE rolname = $1",
            role,
        )
        assert row is not None
        assert not any(row.values()), role
    views = await gateway.sql.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'v'"
        " AND relnamespace::regnamespace::text IN ('orchestrator', 'webhook_worker')"
        " AND NOT coalesce(reloptions, '{}') @> ARRAY['security_invoker=true']"
    )
    assert not views, "such a view shows what its owner may see"


async def test_a_session_without_a_scope_sees_nothing(gateway: Gateway) -> None:
    await gateway.put_welcome()
    await add_run(gateway)
    await add_execution(gateway)
    session = await asyncpg.connect(
        gateway.settings.database_url.get_secret_value(), server_settings={"role": ROLE}
    )
    try:
        for name in (
            "gateway.workflow_definitions", "gateway.workflow_versions", "gateway.leads",
            "gateway.api_keys", "orchestrator.published_runs",
            "orchestrator.published_executions",
        ):  # fmt: skip
            assert await gateway.sql.fetchval(f"SELECT count(*) FROM {name}") > 0
            assert await session.fetchval(f"SELECT count(*) FROM {name}") == 0, name
            if name.startswith("gateway."):
                for change in ("SET workspace = 'x'", "SET created_at = now()"):
                    if name != "gateway.workflow_versions":
                        assert await session.execute(f"UPDATE {name} {change}") == "UPDATE 0"
    finally:
        await session.close()


async def test_one_connection_serves_one_workspace_after_the_other(
    gateway: Gateway, database: Database
) -> None:
    assert (await gateway.client.put("/api/automation/lead/ahmed", json=AHMED)).is_success
    await gateway.sql.execute(
        "INSERT INTO gateway.leads (workspace, lead_id) VALUES ($1, 'sara')",
        gateway.workspace + "b",
    )
    ask = "SELECT lead_id, pg_backend_pid() AS session FROM leads WHERE lead_id = ANY ($1)"
    names, sessions = [], set()
    for workspace in ("", "b", "", "c", "b"):
        rows = await database.fetch_in(gateway.workspace + workspace, ask, ["ahmed", "sara"])
        names.append([row["lead_id"] for row in rows])
        sessions |= {row["session"] for row in rows}
    assert names == [["ahmed"], ["sara"], ["ahmed"], [], ["sara"]]
    assert len(sessions) == 1
    all_rows = await database.fetch_everywhere("SELECT DISTINCT workspace FROM leads")
    assert {gateway.workspace, gateway.workspace + "b"} <= {row["workspace"] for row in all_rows}
    assert not await database.fetch_in("", ask, ["ahmed", "sara"]), "everywhere ends with its call"
    # A workspace is a name, and nothing else.
    assert not await database.fetch_in("on", ask, ["ahmed", "sara"])


async def test_a_transaction_has_its_scope_and_leaves_it_behind(
    gateway: Gateway, database: Database
) -> None:
    """Also one that is undone: the session is where it believes to be."""

    async def fail(transaction: Transaction) -> None:
        rows = await transaction.fetch("SELECT DISTINCT workspace FROM api_keys")
        assert [row["workspace"] for row in rows] == [gateway.workspace]
        raise LookupError

    ask = "SELECT count(*) AS keys FROM api_keys WHERE workspace = $1"
    for scope in ("another", Everywhere.ALL):
        await database.fetch_in(scope, ask, gateway.workspace)
        with pytest.raises(LookupError):
            await database.transact_in(gateway.workspace, fail)
        (row,) = await database.fetch_in(gateway.workspace, ask, gateway.workspace)
        assert row["keys"] > 0
    (row,) = await database.fetch_in("another", ask, gateway.workspace)
    assert row["keys"] == 0


async def test_nothing_is_written_for_another_workspace(
    gateway: Gateway, database: Database
) -> None:
    (row,) = await database.fetch_in(
        gateway.workspace,
        "INSERT INTO leads (workspace, lead_id) VALUES ($1, 'x') RETURNING lead_id",
        gateway.workspace,
    )
    assert row["lead_id"] == "x"
    for statement in (
        "INSERT INTO leads (workspace, lead_id) VALUES ($1, 'x') RETURNING lead_id",
        "UPDATE leads SET workspace = $1 WHERE lead_id = 'x' RETURNING lead_id",
    ):
        with pytest.raises(Exception, match="row-level security"):
            await database.fetch_in(gateway.workspace, statement, "another")


async def test_a_scope_that_may_not_have_come_is_said_again(
    gateway: Gateway, make_settings: MakeSettings
) -> None:
    """A call that ends while it names its workspace leaves none to the next one."""
    settings = make_settings()
    connection = await asyncpg.connect(
        settings.database_url.get_secret_value(),
        connection_class=ScopedConnection,
        server_settings={"role": ROLE, "search_path": "gateway"},
    )
    assert isinstance(connection, ScopedConnection)
    try:
        for _ in range(20):
            await connection.enter(gateway.workspace)
            call = asyncio.create_task(connection.enter("another"))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await connection.enter(gateway.workspace)
            rows = await connection.fetch("SELECT workspace FROM api_keys")
            assert {row["workspace"] for row in rows} == {gateway.workspace}
    finally:
        await connection.close()


async def test_the_release_before_works_on(gateway: Gateway) -> None:
    """It acts as the owners, without a scope."""
    await add_run(gateway)
    await gateway.put_welcome()
    url = gateway.settings.database_url.get_secret_value()
    for role, count in (
        ("gateway", "SELECT count(*) FROM orchestrator.published_runs"),
        ("gateway", "SELECT count(*) FROM gateway.leads"),
        ("orchestrator", "SELECT count(*) FROM orchestrator.runs"),
    ):
        session = await asyncpg.connect(url, server_settings={"role": role})
        try:
            assert await session.fetchval(count) > 0
        finally:
            await session.close()
