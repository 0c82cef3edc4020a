"""The counter of workspaces' days on PostgreSQL: exact under many at a time, by UTC's days."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest
from mirsal_runtime.daily_cap import DailyCap, Pool, daily_cap_schema
from mirsal_runtime.failures import PermanentError, ThrottledError
from mirsal_runtime.settings import ConnectorSettings
from pydantic import ValidationError

DAY_SECONDS = 86_400.0
AS_OWNER = {"role": "noop_worker", "search_path": "noop_worker"}
AS_WORKER = {"role": "mirsal_noop_worker", "search_path": "noop_worker"}


@pytest.fixture(scope="module")
def counting_database(ledger_database: str) -> str:
    """The noop worker's schema, with the table that connectors make which count."""

    async def make_table() -> None:
        connection = await asyncpg.connect(ledger_database, server_settings=AS_OWNER)
        await connection.execute(daily_cap_schema())
        await connection.close()

    asyncio.run(make_table())
    return ledger_database


@pytest.fixture
async def pool(counting_database: str) -> AsyncIterator[Pool]:
    """Connections as the service has them."""
    async with asyncpg.create_pool(
        counting_database, min_size=1, max_size=4, server_settings=AS_WORKER
    ) as opened:
        await opened.execute("UPDATE daily_sends SET day = current_date, sent = 0")
        yield opened


async def sent(pool: Pool) -> Mapping[str, int]:
    return {row["workspace"]: row["sent"] for row in await pool.fetch("TABLE daily_sends")}


async def test_fifty_at_a_time_get_what_the_cap_has(pool: Pool) -> None:
    processes = [DailyCap(pool, {"*": 10}) for _ in range(5)]
    takes = [each.take("many", 1) for each in processes for _ in range(10)]
    answers = await asyncio.gather(*takes, return_exceptions=True)
    refused = [each for each in answers if isinstance(each, BaseException)]
    assert len(answers) - len(refused) == 10
    for each in refused:
        assert isinstance(each, ThrottledError)
        assert each.code == "daily_cap_reached"
        assert each.retry_after is not None
        assert 0 < each.retry_after <= DAY_SECONDS
    assert (await sent(pool))["many"] == 10


async def test_a_message_to_many_has_all_its_places_or_none(pool: Pool) -> None:
    cap = DailyCap(pool, {"lists": 10})
    await cap.take("lists", 7)
    with pytest.raises(ThrottledError):
        await cap.take("lists", 4)
    await cap.take("lists", 3)
    with pytest.raises(PermanentError) as caught:
        await cap.take("lists", 11)
    assert caught.value.code == "daily_cap_too_small"
    assert (await sent(pool))["lists"] == 10


async def test_what_is_given_back_can_be_taken_again_that_day_only(pool: Pool) -> None:
    cap = DailyCap(pool, {"back": 1})
    taken = await cap.take("back", 1)
    assert taken is not None
    await cap.give_back(taken)
    again = await cap.take("back", 1)
    assert again == taken
    await pool.execute("UPDATE daily_sends SET day = day + 1 WHERE workspace = 'back'")
    await cap.give_back(taken)
    assert (await sent(pool))["back"] == 1


async def test_a_new_day_begins_at_nothing(pool: Pool) -> None:
    cap = DailyCap(pool, {"dawn": 2})
    await cap.take("dawn", 2)
    await pool.execute("UPDATE daily_sends SET day = day - 1 WHERE workspace = 'dawn'")
    await cap.take("dawn", 1)
    assert (await sent(pool))["dawn"] == 1


async def test_who_has_no_cap_is_not_counted(pool: Pool) -> None:
    cap = DailyCap(pool, {"capped": 1})
    await pool.close()
    assert await cap.take("free", 50) is None
    with pytest.raises(ThrottledError) as caught:
        await cap.take("capped", 1)
    assert caught.value.code == "daily_cap_unknown"


async def test_a_workspaces_own_cap_counts_before_that_of_all(pool: Pool) -> None:
    cap = DailyCap(pool, {"*": 1, "own": 2})
    await cap.take("own", 2)
    with pytest.raises(PermanentError):
        await cap.take("other", 2)


def test_caps_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ConnectorSettings().daily_recipients == {}
    monkeypatch.setenv("MIRSAL_DAILY_RECIPIENTS", '{"*": 1000, "acme": 0}')
    assert ConnectorSettings().daily_recipients == {"*": 1000, "acme": 0}
    monkeypatch.setenv("MIRSAL_DAILY_RECIPIENTS", '{"acme": -1}')
    with pytest.raises(ValidationError):
        ConnectorSettings()
