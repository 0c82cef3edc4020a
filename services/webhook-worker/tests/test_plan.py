"""However many runs there are, a look reads those that changed lately."""

from mirsal_runtime.queries import load_queries
from mirsal_testing.webhook_world import World

MANY = 60_000


async def test_a_look_reads_what_changed_lately(world: World) -> None:
    await world.add_endpoint("https://hooks.example/")
    await world.sql.execute(
        "INSERT INTO orchestrator.runs (id, workspace, workflow_id, version, lead_id, status, "
        "request, state, created_at, updated_at, ended_at) "
        "SELECT gen_random_uuid(), $1, 'w', 1, 'l', 'succeeded', '{}', '{}', at, at, at "
        "FROM generate_series(now() - interval '30 days', now() - interval '1 hour', "
        "interval '719 hours' / $2::integer) AS at",
        world.workspace,
        MANY,
    )
    await world.sql.execute("VACUUM ANALYZE orchestrator.runs")
    look = load_queries("webhook_worker")["look"].replace("$1", "(now() - interval '3 s')")
    statement = look.replace("$2::timestamptz", "now()").rstrip(";")
    await world.sql.execute("SET enable_seqscan = off; SET search_path = webhook_worker")
    rows = await world.sql.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {statement}")
    plan = "\n".join(row[0] for row in rows)
    assert "runs_by_change" in plan, plan
    assert "runs_pkey" not in plan, plan
