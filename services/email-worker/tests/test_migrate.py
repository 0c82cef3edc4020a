"""The schema from nothing, by the command that a deployment runs."""

from mirsal_testing.ledger_migration import migrate_twice


async def test_migrating_makes_the_ledger_and_may_be_repeated(postgres_database: str) -> None:
    assert await migrate_twice("email_worker", postgres_database) == "email_worker"
