"""Row-level security in every schema of the product: no table without it, nothing owned by who
serves, and no service that acts as an owner."""

# ruff: noqa: S608 - the names in these statements are the catalogue's

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.sheets import SheetsSimulatorClient
    from mirsal_testing.stack import Stack

    from tests.e2e.conftest import People

    Connection = asyncpg.Connection[asyncpg.Record]

pytestmark = pytest.mark.e2e

UNREAD: Final = {"alembic_version"}
"""Tables that no service may read, and that need no policy."""
OF_NO_WORKSPACE: Final = {
    "alembic_version": "how far the schema is",
    "ledger_holders": "the connector's processes",
    "dead_letter_places": "how far topics of dead letters were read",
    "looks": "how far runs were looked through",
}
APART: Final = (
    "((current_setting('mirsal.everywhere'::text, true) = 'on'::text) OR "
    "(workspace = current_setting('mirsal.workspace'::text, true)))"
)
OWNERS_VIEWS: Final = {
    "gateway.published_credentials": {"email_worker", "whatsapp_worker", "sheets_worker"},
    "gateway.published_lead_keys": {
        "gateway",
        "orchestrator",
        "email_worker",
        "whatsapp_worker",
        "sheets_worker",
        "code_runner",
        "noop_worker",
    },
    "gateway.published_sending_policies": {"email_worker", "whatsapp_worker"},
    "gateway.published_suppressions": {"email_worker", "whatsapp_worker"},
    "gateway.published_webhook_endpoints": {"webhook_worker"},
    "gateway.published_webhook_wishes": {"webhook_worker"},
}
"""Views that show what their owner sees, each to those services alone that need it."""
BEHIND_THEM: Final = {
    "credentials",
    "workspace_keys",
    "lead_keys",
    "sending_policies",
    "suppressions",
    "webhook_endpoints",
    "webhook_wishes",
}

_OURS: Final = """
NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'public')
"""
FIND_TABLES: Final = f"""
SELECT relnamespace::regnamespace::text AS schema, relname AS name,
       relrowsecurity AND relforcerowsecurity AS is_forced,
       EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'workspace'
                  AND NOT attisdropped) AS has_workspace,
       EXISTS (SELECT FROM pg_roles WHERE rolname LIKE 'mirsal\\_%'
                  AND has_any_column_privilege(rolname, pg_class.oid, 'SELECT')) AS is_read,
       ARRAY (SELECT polname || ' ' || polroles[1]::regrole::text || ': '
                     || pg_get_expr(polqual, polrelid)
                FROM pg_policy WHERE polrelid = pg_class.oid AND polcmd = '*'
                 AND polpermissive AND polwithcheck IS NULL AND cardinality(polroles) = 1
                 AND polroles[1] <> 0) AS policies,
       (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid) AS policy_count
  FROM pg_class
 WHERE relkind IN ('r', 'p', 'm', 'f')
   AND relnamespace::regnamespace::text {_OURS}
"""
READERS: Final = {
    "orchestrator": {"mirsal_orchestrator", "mirsal_webhook_worker", "webhook_worker", "gateway"},
    "webhook_worker": {"mirsal_webhook_worker", "gateway"},
}
"""Who sees all workspaces' rows of a schema besides its owner; others are served by one role. Those
without `mirsal_` are what releases before this one act as."""


def is_kept(table: asyncpg.Record) -> bool:
    """Whether nobody sees rows of the table but by policies that are known here."""
    if table["name"] in UNREAD and not table["is_read"]:
        return True
    schema = table["schema"]
    allowed = {f"owner {schema}: true", f"mirsal_gateway mirsal_gateway: {APART}"}
    if schema != "gateway":
        readers = READERS.get(schema, {f"mirsal_{schema}"})
        allowed |= {f"{reader} {reader}: true" for reader in readers}
    policies = set(table["policies"])
    whole = len(policies) == table["policy_count"] and policies <= allowed
    named = table["has_workspace"] or table["name"] in OF_NO_WORKSPACE
    return table["is_forced"] and whole and named


async def find_open(sql: Connection) -> list[str]:
    tables = await sql.fetch(FIND_TABLES)
    assert len({each["schema"] for each in tables}) == 8
    return sorted(f"{each['schema']}.{each['name']}" for each in tables if not is_kept(each))


@pytest.fixture
async def sql(stack: Stack) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(stack.environment["DATABASE_URL"])
    yield connection
    await connection.close()


async def test_every_table_of_every_schema_is_kept_apart(sql: Connection) -> None:
    assert await find_open(sql) == [], "guard them: decisions 0018 and 0033 say how"
    transaction = sql.transaction()
    await transaction.start()
    for broken in (
        "CREATE TABLE email_worker.careless (workspace text)",
        "ALTER TABLE code_runner.ledger NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE whatsapp_worker.ledger DROP COLUMN workspace",
        "CREATE POLICY more ON webhook_worker.deliveries USING (true)",
        "CREATE POLICY more ON sheets_worker.tabs TO mirsal_gateway USING (true)",
        "GRANT SELECT ON sheets_worker.alembic_version TO mirsal_sheets_worker",
        "CREATE SCHEMA newcomer CREATE TABLE things (workspace text)",
    ):
        await sql.execute(broken)
    with pytest.raises(AssertionError):
        await find_open(sql)
    await sql.execute("DROP SCHEMA newcomer CASCADE")
    expected = [
        "code_runner.ledger", "email_worker.careless", "sheets_worker.alembic_version",
        "sheets_worker.tabs", "webhook_worker.deliveries", "whatsapp_worker.ledger",
    ]  # fmt: skip
    assert await find_open(sql) == expected
    await transaction.rollback()


async def test_who_serves_owns_nothing_and_passes_no_policy_by(sql: Connection) -> None:
    roles = await sql.fetch(
        "SELECT rolname AS name, rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin AS more,"
        " EXISTS (SELECT FROM pg_shdepend WHERE refobjid = pg_roles.oid AND deptype = 'o') AS owns,"
        " EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid) AS is_member"
        " FROM pg_roles WHERE rolname LIKE 'mirsal\\_%'"
    )
    assert len(roles) == 8
    assert not [each["name"] for each in roles if each["more"] or each["owns"] or each["is_member"]]
    definers = await sql.fetch(
        f"SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace::regnamespace::text {_OURS}"
    )
    assert not definers, "what they do is done with their owner's rights"
    views = await sql.fetch(
        "SELECT relnamespace::regnamespace::text || '.' || relname AS name,"
        " coalesce('security_invoker=true' = ANY (reloptions), false) AS is_invokers,"
        " ARRAY (SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'mirsal\\_%'"
        "          AND has_table_privilege(rolname, pg_class.oid, 'SELECT')) AS readers"
        f" FROM pg_class WHERE relkind = 'v' AND relnamespace::regnamespace::text {_OURS}"
    )
    owners = {each["name"]: set(each["readers"]) for each in views if not each["is_invokers"]}
    assert owners == {
        view: {f"mirsal_{each}" for each in readers} for view, readers in OWNERS_VIEWS.items()
    }


@asynccontextmanager
async def without_owners(sql: Connection) -> AsyncIterator[Sequence[str]]:
    """Owners see no rows meanwhile, but for those that published views show as they do."""
    tables = [
        f"{each['schema']}.{each['name']}"
        for each in await sql.fetch(FIND_TABLES)
        if each["is_forced"] and each["name"] not in BEHIND_THEM
    ]
    for table in tables:
        await sql.execute(f"ALTER POLICY owner ON {table} USING (false)")
    try:
        yield tables
    finally:
        for table in tables:
            await sql.execute(f"ALTER POLICY owner ON {table} USING (true)")


async def test_no_service_acts_as_an_owner(
    api: RestClient, sql: Connection, sheets: SheetsSimulatorClient, people: People
) -> None:
    spreadsheet = await sheets.add_spreadsheet()
    row = {"operation": "append", "spreadsheetId": spreadsheet, "sheet": "S", "values": {"n": "1"}}
    configs: list[tuple[str, dict[str, Any]]] = [
        ("email", {"subject": "s", "body": "b"}),
        ("whatsapp", {"text": "t"}),
        ("google_sheets", row),
        ("code", {"language": "python", "code": "def main(input):\n    return 1"}),
    ]
    nodes = [{"id": kind, "type": kind, "config": config} for kind, config in configs]
    await api.publish("walls", {"name": "Walls", "nodes": nodes})
    async with without_owners(sql) as tables:
        assert len(tables) > 25
        person = await people.make()
        run = await api.wait_for_run(await api.start_run("walls", person.id), seconds=60)
    assert run["status"] == "succeeded", run
    for schema in ("email_worker", "whatsapp_worker", "sheets_worker", "code_runner"):
        found = await sql.fetch(
            f"SELECT workspace FROM {schema}.ledger WHERE run_id = $1::uuid", run["runId"]
        )
        assert [each["workspace"] for each in found] == ["default"], schema
