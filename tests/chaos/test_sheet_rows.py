"""Every row once, whatever Google and the kernel do: throttled, broken, cut off, `kill -9`.

Short in `make test`; `make chaos` sends 1,000 rows at 50 a second in each case.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_runtime.settings import RuntimeSettings
from mirsal_testing.commands import make_command, next_attempt
from mirsal_testing.simulators.sheets import SheetsSimulator
from mirsal_testing.worker_processes import open_field

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mirsal_contracts.commands import RunNode
    from mirsal_testing.servers.server import Server
    from mirsal_testing.worker_processes import Field, WorkerProcess

pytestmark = pytest.mark.chaos

IS_LONG = "MIRSAL_CHAOS_SECONDS" in os.environ
ROWS = 1000 if IS_LONG else 200
A_SECOND = 50
KILL_SECONDS = 3.0
WAIT_SECONDS = 240.0
SPREADSHEET = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"
FAULTS: dict[str, dict[str, Any]] = {
    "429": {"error": {"kind": "rateLimited"}},
    "5xx": {"error": {"kind": "unavailable"}},
    "5xx after the write": {"error": {"kind": "internal"}, "accept": True},
    "dropped after the write": {"drop": "after"},
    "dropped before the write": {"drop": "before"},
}
CASES = [*([name] for name in FAULTS), list(FAULTS)] if IS_LONG else [list(FAULTS)]


class Story:
    """Rows on their way into one tab, as an orchestrator would follow them."""

    def __init__(self, field: Field, google: SheetsSimulator) -> None:
        self._field = field
        self.google = google
        self.commands: list[RunNode] = []
        self.failures: list[NodeFailed] = []

    async def send(self, count: int) -> None:
        """So many rows, at a steady pace."""
        begun = time.monotonic()
        for number in range(count):
            config: dict[str, Any] = {
                "operation": "append",
                "spreadsheetId": SPREADSHEET,
                "sheet": "Leads",
                "values": {"n": number, "name": "أحمد محمد"},
            }
            command = make_command("google_sheets", config, timeout_seconds=120)
            self.commands.append(command)
            await self._field.send([command])
            await asyncio.sleep(max(0.0, begun + number / A_SECOND - time.monotonic()))

    async def follow(self) -> None:
        """Until every row has succeeded; what failed for now is tried again."""
        outstanding = {command.run_id: command for command in self.commands}
        deadline = time.monotonic() + WAIT_SECONDS
        while outstanding:
            assert time.monotonic() < deadline, f"{len(outstanding)} have no end"
            for run_id, command in list(outstanding.items()):
                for status in self._field.statuses[run_id]:
                    if status.command_id != command.command_id:
                        continue
                    if isinstance(status, NodeSucceeded):
                        del outstanding[run_id]
                    else:
                        assert isinstance(status, NodeFailed), status
                        assert status.kind in ("transient", "throttled", "expired"), status
                        self.failures.append(status)
                        outstanding[run_id] = again = next_attempt(command)
                        await self._field.send([again])
                    break
            await asyncio.sleep(0.1)

    def check(self) -> None:
        """Every row is in the sheet once, and where its execution says."""
        tab = self.google.library.open(SPREADSHEET, writes=False).find_tab("Leads")
        assert tab is not None
        keys = [tab.get(row, 2) for row in range(1, tab.last_row + 1)]
        assert len(keys) == len(self.commands)
        assert {str(key) for key in keys} == {command.execution_id for command in self.commands}
        for command in self.commands:
            status = self._field.statuses[command.run_id][-1]
            assert isinstance(status, NodeSucceeded)
            row = status.output["row"]
            assert isinstance(row, int)
            assert keys[row - 2] == command.execution_id


@pytest.fixture
async def story(
    kafka_server: Server,
    postgres_database: str,
    valkey_server: Server,
    kafka_prefix: str,
    tmp_path: Path,
) -> AsyncIterator[tuple[Story, WorkerProcess]]:
    """A worker that serves, and nothing asked of it yet."""
    async with open_world(
        kafka_server, postgres_database, valkey_server, kafka_prefix, tmp_path
    ) as world:
        yield world


@asynccontextmanager
async def open_world(
    kafka: Server, database: str, valkey: Server, prefix: str, folder: Path
) -> AsyncIterator[tuple[Story, WorkerProcess]]:
    settings = RuntimeSettings.model_validate(
        {
            "kafka_bootstrap_servers": kafka.url,
            "database_url": database,
            "topic_prefix": prefix,
            "topic_replication": 1,
        }
    )
    async with (
        SheetsSimulator() as google,
        open_field(settings, folder, connector="google_sheets") as field,
    ):
        google.add_spreadsheet(SPREADSHEET)
        credentials = folder / "credentials.json"
        credentials.write_text(json.dumps(google.service_account_info), "utf-8")
        given = {
            "MIRSAL_SHEETS_BASE_URL": google.url,
            "MIRSAL_GOOGLE_CREDENTIALS_FILE": str(credentials),
            "REDIS_URL": valkey.url,
            "MIRSAL_SHEETS_SETTLE_SECONDS": "2",
        }
        migration = field.process("migrate", ["-m", "sheets_worker.migrate"])
        await migration.start()
        assert await migration.ended() == 0
        worker = field.process("sheets-worker-1", ["-m", "sheets_worker"], **given)
        await worker.start()
        await worker.until_ready()
        yield Story(field, google), worker


@pytest.mark.parametrize("faults", CASES, ids=" and ".join)
@pytest.mark.timeout(400)
async def test_every_row_is_there_once(
    story: tuple[Story, WorkerProcess], faults: list[str]
) -> None:
    rows, _ = story
    for fault in faults:
        # Each for sure, and then a tenth of all calls.
        match = {"call": "values.append"}
        rows.google.rules.add({"times": 1, "match": match, "action": FAULTS[fault]})
    for fault in faults:
        now_and_then = {"probability": 0.1 / len(faults)}
        rows.google.rules.add({"match": now_and_then, "action": FAULTS[fault]})
    await rows.send(ROWS)
    await rows.follow()
    while not all(rule.spent for rule in list(rows.google.rules)[: len(faults)]):
        await rows.send(1)
        await rows.follow()
    rows.check()
    if faults == ["429"]:
        assert not rows.failures, "a row failed for being throttled"


@pytest.mark.timeout(400)
async def test_every_row_is_there_once_although_the_worker_is_killed(
    story: tuple[Story, WorkerProcess],
) -> None:
    rows, worker = story
    kills = 0

    async def strike() -> None:
        nonlocal kills
        while True:
            await asyncio.sleep(KILL_SECONDS)
            await worker.kill()
            kills += 1
            await worker.start()

    striking = asyncio.create_task(strike())
    try:
        await rows.send(max(ROWS, 500))
    finally:
        striking.cancel()
        await asyncio.gather(striking, return_exceptions=True)
    await worker.kill()
    await worker.start()
    await rows.follow()
    rows.check()
    assert kills >= 2
