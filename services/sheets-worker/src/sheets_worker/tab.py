"""One tab: its header, and writes of which one at a time is under way, each with its note.

A note is made before a write and taken away with what became of it. A note that stayed says what
to look for in the sheet; nothing is written before that is settled.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

import structlog
from mirsal_runtime.failures import AttemptFailure, OutcomeUnknown, PermanentError, RetryableError

from sheets_worker.calls import Calls
from sheets_worker.cell_ledger import CellLedger
from sheets_worker.cells import NUMBER_FORMATS
from sheets_worker.departures import Departures
from sheets_worker.errors import Code, UnknownButEnded
from sheets_worker.header import Addition, Header, add, find_lacking, read_header
from sheets_worker.ranges import column_letters, in_tab
from sheets_worker.rows import ROW_KEY_COLUMN, Column, Placed, Row, TabName
from sheets_worker.store import Note, SheetStore, StoreUnavailable, TabState, Written
from sheets_worker.structure import (
    Requests,
    Sheet,
    add_columns,
    format_columns,
    make_tab,
    read_sheets,
)

# A write must begin so soon after its note, or others might believe that it never will.
BEGIN_SECONDS = 10.0
# So long another process's note is no reason to look: it is at work.
GRACE_SECONDS = 2.0
STORE_PAUSE = 0.25
LOOK_BACK_ROWS = 50
COLUMN, CLEAR, UPDATE = "column:", "clear:", "update"

AnswerT = TypeVar("AnswerT")
log = structlog.get_logger(__name__)


class Busy(RetryableError):
    """A write is noted that another process has under way, or whose end nobody knows yet.

    `keys` are what it may have written. `looked`: the sheet was read, and does not show it (yet).
    """

    def __init__(self, keys: Sequence[str] = (), *, looked: bool = False) -> None:
        super().__init__(Code.UNAVAILABLE, "another write to the tab has not ended")
        self.keys = frozenset(keys)
        self.looked = looked


class Begun(NamedTuple):
    """A write that may begin until `not_after` (monotonic)."""

    id: UUID
    not_after: float


class Evidence(NamedTuple):
    """What the sheet shows of a write that nobody saw end."""

    written: Sequence[Written]
    last_row: int | None


NOTHING = Evidence((), None)


class Tab:
    """One tab, as one process sees it. Raises `AttemptFailure` and `StoreUnavailable`."""

    def __init__(
        self,
        name: TabName,
        calls: Calls,
        store: SheetStore,
        ledger: CellLedger,
        departures: Departures,
        *,
        settle_seconds: float,
    ) -> None:
        self.name = name
        self.calls = calls
        self.store = store
        self.ledger = ledger
        self._settle_seconds = settle_seconds
        self._departures = departures
        self._lost: set[UUID] = set()
        """Notes of ours whose write nobody saw end."""

    def range(self, cells: str = "") -> str:
        """A range of this tab."""
        return in_tab(self.name.sheet, cells)

    async def settle(self) -> TabState:
        """Returns once no write is noted. Raises `Busy` while one may be under way."""
        while True:
            state = await self.store.look(self.name)
            if state.note is None:
                return state
            await self._settle(state.note, state)

    async def read_values(
        self, *ranges: str, raw: bool = False, traces: Sequence[str] = ()
    ) -> list[list[list[Any]]]:
        """The rows of each range; without empty cells and rows at their ends.

        `raw`: numbers as numbers; otherwise as texts. Dates are texts.
        """
        params = {
            "valueRenderOption": "UNFORMATTED_VALUE" if raw else "FORMATTED_VALUE",
            "dateTimeRenderOption": "FORMATTED_STRING",
        }
        answer = await self.calls.read(
            lambda client: client.values_batch_get(
                self.name.spreadsheet_id, list(ranges), dict(params)
            ),
            traces=traces,
        )
        return [each.get("values", []) for each in answer.get("valueRanges", ())]

    async def read_header(self) -> Header | None:
        """The header; None where there is no such tab."""
        try:
            (rows,) = await self.read_values(self.range("1:1"))
        except PermanentError as error:
            if error.code != Code.NO_TAB:
                raise
            return None
        return read_header(rows[0] if rows else [])

    async def read_sheets(self) -> list[Sheet]:
        """All tabs of the spreadsheet."""
        fields = "sheets.properties(sheetId,title,gridProperties(rowCount,columnCount))"
        answer = await self.calls.read(
            lambda client: client.fetch_sheet_metadata(self.name.spreadsheet_id, {"fields": fields})
        )
        return read_sheets(answer)

    async def make_room(self, rows: int, workspace: str) -> int:
        """Count rows that are about to be added; how many of them fit.

        Raises `PermanentError` where not one does.
        """
        return await self.ledger.make_room(self.name, rows, workspace, self.read_sheets)

    async def prepare(self, state: TabState, columns: Sequence[Column], workspace: str) -> Header:
        """The header, once it has these columns and one for row keys, and dates are formatted."""
        header = await self.read_header()
        addition = find_lacking(header or Header(()), columns)
        dates = [
            column
            for column in columns
            if column.type in NUMBER_FORMATS and column.name.strip() not in state.formatted_columns
        ]
        if header is not None and addition is None and not dates:
            return header
        sheets = await self.read_sheets()
        sheet = _find(sheets, self.name.sheet)
        if header is None or sheet is None:
            if header is not None or sheet is not None:
                raise Busy  # The tab comes or goes at this moment.
            whole = addition or Addition(0, tuple(columns), with_key=True)
            await self._restructure(
                make_tab(_free_id(sheets), self.name.sheet, whole), whole.columns, workspace
            )
            return add(Header(()), whole)
        requests = [] if addition is None else add_columns(sheet, header, addition)
        if addition is not None:
            header = add(header, addition)
        requests += format_columns(sheet.id, header, dates)
        await self._restructure(
            requests, (*(addition.columns if addition else ()), *dates), workspace
        )
        return header

    async def write(
        self,
        begun: Begun,
        do: Callable[[Any], AnswerT],
        *,
        traces: Sequence[str] = (),
    ) -> AnswerT:
        """Make the call of a write that was begun. Its note stays, but where it had no effect."""
        try:
            self._departures.leave(begun.id)
        except OSError as error:
            await self.give_up(begun)
            raise RetryableError(Code.UNAVAILABLE, f"no file can be written: {error!r}") from error
        try:
            return await self.calls.write(do, traces=traces, not_after=begun.not_after)
        except UnknownButEnded:
            self._lost.add(begun.id)
            await self.store.mark_ended(self.name, begun.id)
            raise
        except OutcomeUnknown:
            self._lost.add(begun.id)
            raise
        except AttemptFailure:
            self._departures.unsent.add(begun.id)
            await self.give_up(begun)
            raise

    async def begin(
        self, looked_for: Sequence[str], workspaces: Sequence[str], workspace: str
    ) -> Begun:
        """Note that a write begins. Raises `Busy` when another one is noted."""
        write_id = uuid4()
        begun = Begun(write_id, time.monotonic() + BEGIN_SECONDS)
        self._departures.note(write_id)
        if not await self.store.begin(self.name, write_id, looked_for, workspaces, workspace):
            self._departures.forget(write_id)
            raise Busy
        return begun

    async def give_up(self, begun: Begun) -> None:
        """Take the note of a write away that had no effect."""
        await self.store.end(self.name, begun.id)
        self._departures.forget(begun.id)

    async def end(
        self,
        begun: Begun,
        *,
        written: Sequence[Written] = (),
        last_row: int | None = None,
        formatted: Sequence[str] = (),
    ) -> None:
        """Write down what a write did, however long PostgreSQL is away."""
        while True:
            try:
                return await self.store.end(
                    self.name, begun.id, written=written, last_row=last_row, formatted=formatted
                )
            except StoreUnavailable as error:
                log.warning("sheet_store_away", error=error)
            await asyncio.sleep(STORE_PAUSE)

    async def _restructure(
        self, requests: Requests, columns: Sequence[Column], workspace: str
    ) -> None:
        await self.calls.reserve("write")
        looked_for = [COLUMN + column.name.strip() for column in columns]
        looked_for.append(COLUMN + ROW_KEY_COLUMN)
        begun = await self.begin(looked_for, [workspace] * len(looked_for), workspace)
        body = {"requests": requests}
        self.ledger.forget(self.name)
        await self.write(begun, lambda client: client.batch_update(self.name.spreadsheet_id, body))
        formatted = [each.name.strip() for each in columns if each.type in NUMBER_FORMATS]
        await self.end(begun, formatted=formatted)

    async def _settle(self, note: Note, state: TabState) -> None:
        if note.id in self._departures.unsent:
            await self.give_up(Begun(note.id, 0.0))
            return
        if note.age < GRACE_SECONDS and not note.ended and note.id not in self._lost:
            raise Busy(note.keys)
        evidence = await self._look_for(note, state)
        if evidence is None and not note.ended and note.age < self._settle_seconds:
            raise Busy(note.keys, looked=True)
        written, last_row = evidence or ((), None)
        await self.store.end(self.name, note.id, written=written, last_row=last_row)
        self._lost.discard(note.id)
        log.info(
            "write_settled",
            spreadsheet_id=self.name.spreadsheet_id,
            happened=evidence is not None,
            rows=len(written),
            age=round(note.age, 1),
        )

    async def _look_for(self, note: Note, state: TabState) -> Evidence | None:
        """What the sheet shows of a write; None if nothing."""
        first = note.keys[0] if note.keys else UPDATE
        if first == UPDATE:
            # It may be repeated: whoever asked for it will.
            return NOTHING
        if first.startswith(CLEAR):
            (rows,) = await self.read_values(self.range(first.removeprefix(CLEAR)))
            return None if rows else NOTHING
        if first.startswith(COLUMN):
            header = await self.read_header()
            wanted = {key.removeprefix(COLUMN) for key in note.keys}
            return NOTHING if header is not None and wanted <= set(header.names) else None
        return await find_rows(self, note, state.last_row)


async def find_rows(tab: Tab, note: Note, last_row: int) -> Evidence | None:
    """The rows of an append; None if the sheet has none of them.

    They are looked for at the end first. A person may have sorted the rows meanwhile, so that
    they are nowhere is only said after all have been seen. One append is written as a whole: if
    one of its rows is there, a row that is not was removed since.
    """
    header = await tab.read_header()
    if header is None or header.key_place is None:
        return None
    letters = column_letters(header.key_place)
    start = max(2, last_row - LOOK_BACK_ROWS)
    for first_row in dict.fromkeys((start, 2)):
        try:
            (column,) = await tab.read_values(tab.range(f"{letters}{first_row}:{letters}"))
        except PermanentError as error:
            if error.code != Code.NO_TAB:
                raise
            # The tab has fewer rows than that.
            continue
        wanted = set(note.keys)
        places = {
            cells[0]: first_row + offset
            for offset, cells in enumerate(column)
            if cells and cells[0] in wanted
        }
        if places:
            return _evidence(tab, header, note, places)
    return None


def _evidence(tab: Tab, header: Header, note: Note, places: Mapping[str, int]) -> Evidence:
    written = [
        Written(
            Row(key, workspace, {}),
            Placed("sheet", row_range(tab, header, places.get(key)), places.get(key)),
        )
        for key, workspace in zip(note.keys, note.workspaces, strict=True)
    ]
    return Evidence(written, max(places.values()))


def row_range(tab: Tab, header: Header, row: int | None) -> str:
    """`'Leads'!A5:F5`; the tab alone where the row is not known."""
    if row is None:
        return tab.range()
    return tab.range(f"A{row}:{column_letters(header.width - 1)}{row}")


def _find(sheets: Sequence[Sheet], title: str) -> Sheet | None:
    """A tab by its name; Google tells names that differ in case only not apart."""
    for sheet in sheets:
        if sheet.title.casefold() == title.casefold():
            return sheet
    return None


def _free_id(sheets: Sequence[Sheet]) -> int:
    taken = {sheet.id for sheet in sheets}
    while (found := secrets.randbelow(2**31 - 1) + 1) in taken:
        pass
    return found
