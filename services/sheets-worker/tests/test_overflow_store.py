"""Which of two that want one row gets it: a write to the sheet that is noted, or BigQuery."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
from mirsal_runtime.postgres import close_pool
from pydantic import SecretStr
from sheets_worker.overflow_store import Backlog, Cursor, Overflowing, OverflowStore
from sheets_worker.process import open_store_pool
from sheets_worker.rows import Placed, Row, TabName
from sheets_worker.store import SheetStore, Written

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sheets_worker.store import Pool

TAB = TabName("spreadsheet", "Leads")
TABLE = "project.mirsal.leads"
WAIT_SECONDS = 20.0


def overflowing(key: str, *, backfill: bool = True) -> Overflowing:
    return Overflowing(TAB, Row(key, "ws_1", {}), (), "sheets_full", backfill)


@pytest.fixture
async def pool(
    database: asyncpg.Connection[asyncpg.Record], database_url: str
) -> AsyncIterator[Pool]:
    del database
    found = await open_store_pool(SecretStr(database_url), "test")
    yield found
    await close_pool(found)


async def test_a_row_of_a_noted_write_is_not_bound(pool: Pool) -> None:
    sheet, overflow = SheetStore(pool), OverflowStore(pool)
    assert await sheet.begin(TAB, uuid4(), ["a", "b"], ["ws_1", "ws_1"], "ws_1")
    new, noted = await overflow.bind(TAB, TABLE, [overflowing("b"), overflowing("c")])
    assert (new, noted) == ({"c"}, {"a", "b"})
    assert list(await sheet.find(["a", "b", "c"])) == ["c"]


async def test_who_notes_a_write_meanwhile_waits_and_finds_what_is_bound(
    pool: Pool, database: asyncpg.Connection[asyncpg.Record], database_url: str
) -> None:
    """Else each of the two would see nothing of the other, and the row would go to both."""
    sheet, overflow = SheetStore(pool), OverflowStore(pool)

    async def write() -> bool:
        await sheet.begin(TAB, uuid4(), ["a"], ["ws_1"], "ws_1")
        return "a" not in await sheet.find(["a"])

    async def move() -> bool:
        return "a" in (await overflow.bind(TAB, TABLE, [overflowing("a")]))[0]

    async def waiting() -> int:
        return int(
            await watcher.fetchval(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )

    # The tab is known: what locks it is not its first row.
    await overflow.bind(TAB, TABLE, [overflowing("another")])
    # A session of its own: in the transaction below it would see the same again and again.
    watcher = await asyncpg.connect(database_url)
    # Holds up the binding in its middle.
    hindrance = database.transaction()
    await hindrance.start()
    await database.execute(
        "INSERT INTO written_rows (row_key, workspace, spreadsheet_id, sheet, place, target) "
        "VALUES ('a', 'ws_1', 's', 't', 'sheet', '')"
    )
    async with asyncio.timeout(WAIT_SECONDS):
        moving = asyncio.create_task(move())
        while await waiting() < 1:
            await asyncio.sleep(0.01)
        writing = asyncio.create_task(write())
        while await waiting() < 2 and not writing.done():
            await asyncio.sleep(0.01)
        await hindrance.rollback()
        assert (await moving, await writing) == (True, False)
    await watcher.close()


async def test_a_row_is_bound_once_and_only_what_is_not_stored_is_unbound(pool: Pool) -> None:
    overflow = OverflowStore(pool)
    assert (await overflow.bind(TAB, TABLE, [overflowing("a"), overflowing("b")]))[0] == {"a", "b"}
    assert (await overflow.bind(TAB, TABLE, [overflowing("a")]))[0] == set()
    await overflow.store(["a"])
    await overflow.unbind(["a", "b"])
    found = await overflow.find(["a", "b"])
    assert {key: bound.stored for key, bound in found.items()} == {"a": True}
    assert found["a"].placed == Placed("bigquery", TABLE, None, "sheets_full")


async def test_what_is_to_be_brought_back_is_what_bigquery_surely_has(pool: Pool) -> None:
    sheet, overflow = SheetStore(pool), OverflowStore(pool)
    rows = [overflowing(key) for key in "abcd"]
    await overflow.bind(TAB, TABLE, [*rows, overflowing("stays", backfill=False)])
    await overflow.store(["a", "b", "d", "stays"])
    await sheet.remember(TAB, [Written(rows[1].row, Placed("sheet", "'Leads'!A2:B2", 2))])
    assert await overflow.tabs_to_backfill() == [Backlog(TAB)]
    first = await overflow.rows_to_backfill(Backlog(TAB), Cursor(), 1)
    rest = await overflow.rows_to_backfill(Backlog(TAB), first[-1], 10)
    assert [each.row_key for each in (*first, *rest)] == ["a", "d"]


async def test_one_process_at_a_time_brings_rows_back(pool: Pool, database_url: str) -> None:
    other = await open_store_pool(SecretStr(database_url), "test")
    try:
        async with OverflowStore(pool).hold_backfill() as held:
            assert held is not None
            await held.check()
            async with OverflowStore(other).hold_backfill() as refused:
                assert refused is None
        async with OverflowStore(other).hold_backfill() as held:
            assert held is not None
    finally:
        await close_pool(other)
