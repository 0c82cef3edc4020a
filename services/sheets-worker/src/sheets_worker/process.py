"""The effect: a command becomes a job of its tab, and its answer a result."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from mirsal_contracts.credentials import ConnectionCheck
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.failures import AttemptFailure, PermanentError
from mirsal_runtime.postgres import close_pool, open_pool
from mirsal_runtime.tasks import cancel
from mirsal_runtime.vault.accounts import Accounts
from pydantic import SecretStr

from sheets_worker.accounts import GoogleChecked, open_google_accounts
from sheets_worker.appending import append_rows
from sheets_worker.backfill import Backfill
from sheets_worker.bigquery.client import BIGQUERY_SCOPES
from sheets_worker.bigquery.rows import open_bigquery
from sheets_worker.calls import Calls
from sheets_worker.cell_ledger import CellLedger
from sheets_worker.cells import NUMBER_FORMATS, raw_cell, read_value, zone_of
from sheets_worker.changing import change_rows
from sheets_worker.credentials import CredentialsFile
from sheets_worker.departures import Departures
from sheets_worker.falling_back import Fallback
from sheets_worker.jobs import Answer, Job
from sheets_worker.overflow_store import OverflowStore
from sheets_worker.params import SheetsParams, SheetsResult
from sheets_worker.places import Places
from sheets_worker.quota import open_quota
from sheets_worker.reading import clear_cells, create_tab, look_up, read_rows
from sheets_worker.rows import Column, Row, TabName, Value
from sheets_worker.settings import (
    BigQuerySettings,
    GoogleSettings,
    ProcessSettings,
    SheetsSettings,
)
from sheets_worker.store import Pool, SheetStore, keep_store_small
from sheets_worker.tab import Tab
from sheets_worker.writer import GroupLimits, Perform, TabWriter

SERVICE: Final = "sheets-worker"
SCHEMA: Final = "sheets_worker"
ROLE: Final = "mirsal_sheets_worker"
MOST_TITLE = 100
_SPREADSHEET_ID = re.compile(
    r"(?:https://docs\.google\.com/spreadsheets/d/)?([\w-]{1,200})(?:/.*)?"
)
_PERFORMS: Mapping[str, Perform] = {
    "append": append_rows,
    "upsert": change_rows,
    "update": change_rows,
    "lookup": look_up,
    "read": read_rows,
    "clear": clear_cells,
    "create_tab": create_tab,
}


class Desk:
    """All tabs that this process works on: a writer for each that has something to do."""

    def __init__(
        self,
        accounts: Accounts[Calls],
        store: SheetStore,
        ledger: CellLedger,
        places: Places,
        departures: Departures,
        settings: SheetsSettings,
    ) -> None:
        self.places = places
        self.accounts = accounts
        self._store = store
        self._ledger = ledger
        self._departures = departures
        self._settings = settings
        # Writers of a tab by two accounts meet as those of two processes do.
        self._writers: dict[tuple[TabName, Calls], TabWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, name: TabName, job: Job, calls: Calls) -> Answer:
        """Have a job served in its turn, by these calls; its answer. Raises `AttemptFailure`."""
        writer = self._writers.get((name, calls))
        if writer is None:
            settings = self._settings
            tab = Tab(
                name,
                calls,
                self._store,
                self._ledger,
                self._departures,
                settle_seconds=settings.settle_seconds,
            )
            limits = GroupLimits(settings.group_rows, settings.group_bytes, settings.group_seconds)
            writer = self._writers[name, calls] = TabWriter(tab, _PERFORMS, limits)
            task = asyncio.create_task(self._run((name, calls), writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        writer.add(job)
        return await job.answer

    async def stop(self) -> None:
        """End all writers; what they were writing is settled by whoever comes next."""
        await cancel(*self._tasks)

    async def bring_back(self, name: TabName, job: Job) -> Answer:
        """Have a row written that comes back, by the account that its node named."""
        row = job.row
        if row.credential_id is None:
            return await self.submit(name, job, self.accounts.own)
        async with self.accounts.lend(row.workspace, row.credential_id) as calls:
            return await self.submit(name, job, calls)

    async def _run(self, key: tuple[TabName, Calls], writer: TabWriter) -> None:
        try:
            await writer.run()
        finally:
            del self._writers[key]


async def open_store_pool(url: SecretStr, application: str) -> Pool:
    """Connections that act as the service, which owns nothing."""
    return await open_pool(url, role=ROLE, schema=SCHEMA, application=application)


@asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    """The desk as the environment describes it."""
    process, settings = ProcessSettings(), SheetsSettings()
    pool = await open_store_pool(process.database_url, process.instance)
    store, overflow_store = SheetStore(pool), OverflowStore(pool)
    google = GoogleSettings()
    # The runtime's journal has made sure that no other process has this name.
    departures = Departures(process.state_dir / "sheets" / f"{process.instance}.writes")
    bigquery_credentials = CredentialsFile(google.credentials_file, BIGQUERY_SCOPES)
    try:
        async with (
            open_quota(process.redis_url, settings) as quota,
            open_google_accounts(settings, google, quota) as accounts,
            open_bigquery(BigQuerySettings(), lambda: bigquery_credentials.read()[0]) as overflow,
        ):
            places = Places(overflow, overflow_store)
            desk = Desk(accounts, store, CellLedger(pool), places, departures, settings)
            upkeep = asyncio.create_task(keep_store_small(store, settings.keep_seconds))
            backfill = Backfill(
                overflow, overflow_store, desk.bring_back, poll_seconds=settings.backfill_seconds
            )
            returning = asyncio.create_task(backfill.run())
            try:
                yield desk
            finally:
                await cancel(upkeep, returning)
                await desk.stop()
    finally:
        departures.close()
        await close_pool(pool)


async def process_sheet(params: SheetsParams, attempt: Attempt, desk: Desk) -> SheetsResult:
    """Serve one command, by the account that its node names."""
    if params.credential_id is None:
        return await _serve(params, attempt, desk, desk.accounts.own_for(attempt.command.workspace))
    async with desk.accounts.lend_for(attempt.command, params.credential_id) as calls:
        return await _serve(params, attempt, desk, calls)


async def check_account(asked: ConnectionCheck, attempt: Attempt, desk: Desk) -> GoogleChecked:
    """Have Google give an account a token."""
    async with desk.accounts.lend_for(attempt.command, asked.credential_id) as calls:
        owner = await calls.check()
        await attempt.claim()
        return GoogleChecked(account=owner)


async def _serve(params: SheetsParams, attempt: Attempt, desk: Desk, calls: Calls) -> SheetsResult:
    tab = tab_of(params)
    row, columns = row_of(params, attempt)
    fallback = Fallback(params, attempt, desk.places, tab, row, columns)
    try:
        job = make_job(params, attempt, row, columns)
        job.patience = fallback.patience
    except AttemptFailure as failure:
        return result_of(params, row.key, await fallback.move(failure))
    try:
        answer = await desk.submit(tab, job, calls)
    except AttemptFailure as failure:
        answer = await fallback.move(failure, job)
    answer = await fallback.confirm(answer, job)
    if not job.claimed:
        # Nothing had to be written: the row was there already, or nothing was to change.
        await attempt.claim()
    return result_of(params, row.key, answer)


def tab_of(params: SheetsParams) -> TabName:
    """Which tab a command is for. Raises `PermanentError`."""
    match = _SPREADSHEET_ID.fullmatch(params.spreadsheet_id.strip())
    if match is None:
        raise PermanentError(
            "invalid_params", "spreadsheetId is the long name in the spreadsheet's address"
        )
    title = params.sheet
    if not title.strip() or len(title) > MOST_TITLE or not title.isprintable():
        raise PermanentError(
            "invalid_params", f"sheet is a tab's name of at most {MOST_TITLE} characters"
        )
    return TabName(match[1], title)


def row_of(params: SheetsParams, attempt: Attempt) -> tuple[Row, list[Column]]:
    """A command's row. Raises `PermanentError` for a value that does not fit its column's type."""
    command = attempt.command
    values, columns = read_row(params)
    return Row(command.execution_id, command.workspace, values, params.credential_id), columns


def make_job(params: SheetsParams, attempt: Attempt, row: Row, columns: Sequence[Column]) -> Job:
    """The job of a command. Raises `PermanentError` for a value that fits no cell."""
    return Job(
        kind=_kind_of(params, row.key),
        seconds=attempt.command.timeout_seconds,
        params=params,
        attempt=attempt,
        row=row,
        columns=columns,
        cells={name: raw_cell(value) for name, value in row.values.items()},
    )


def read_row(params: SheetsParams) -> tuple[dict[str, Value], list[Column]]:
    """The typed values of a command, and their columns."""
    has_times = any(kind in NUMBER_FORMATS for kind in params.types.values())
    zone = zone_of(params.time_zone if has_times else None)
    values: dict[str, Value] = {}
    columns: list[Column] = []
    for given, value in (params.values or {}).items():
        kind = params.types.get(given)
        name = given.strip()
        values[name] = read_value(value, kind, zone, column=name)
        columns.append(Column(name, kind))
    return values, columns


def result_of(params: SheetsParams, row_key: str, answer: Answer) -> SheetsResult:
    """What the execution's output says."""
    if isinstance(answer, SheetsResult):
        return answer
    in_sheet = answer.place == "sheet"
    is_row = params.operation in ("append", "upsert", "update")
    return SheetsResult(
        operation=params.operation,
        place=answer.place,
        range=answer.target if in_sheet else None,
        table=None if in_sheet else answer.target,
        row=answer.row,
        row_key=row_key if is_row else None,
        reason=answer.reason,
        matched=1 if params.operation == "update" else None,
    )


def _kind_of(params: SheetsParams, execution_id: str) -> tuple[str, ...]:
    """Jobs of the same kind that follow each other share a request."""
    operation = params.operation
    if operation == "append":
        return (operation,)
    if operation in ("upsert", "update", "lookup"):
        return (operation, (params.key_column or "").strip())
    return (operation, execution_id)
