"""BigQuery as a place for rows: streamed under their keys, each row's own error its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from google.auth.credentials import Credentials
from google.cloud import bigquery
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    PermanentError,
    ThrottledError,
)

from sheets_worker.bigquery.client import BigQueryClient, RowProblem
from sheets_worker.bigquery.errors import (
    LONG_SECONDS,
    REASONS,
    SHORT_SECONDS,
    BigQueryCode,
    TableMissing,
)
from sheets_worker.bigquery.names import OWN_COLUMNS, VALUES_COLUMN
from sheets_worker.bigquery.tables import SQL, Tables
from sheets_worker.bigquery.values import decode_row, encode_row, needs_of
from sheets_worker.rows import Column, Placed, Row, RowRefused, TabName
from sheets_worker.settings import BigQuerySettings

MOST_ROWS: Final = 500
MOST_BYTES: Final = 9_000_000
"""Of a request; Google refuses 10 MB."""
ROUNDS: Final = 3
FIRST_PAUSE: Final = 0.25
NO_SUCH_FIELD: Final = "no such field"


class _Sent(NamedTuple):
    """A row on its way: its place among those given, its key, and how large it is."""

    place: int
    key: str
    json: dict[str, Any]
    size: int


class BigQueryRows:
    """The rows of all tabs, each tab in a table of its own. An `Overflow`.

    A row that comes again under its key is stored at most once within a minute, and shown once by
    the table's view for ever: so what may have been stored is simply sent again.
    """

    takes_rows = True

    def __init__(self, client: BigQueryClient, tables: Tables) -> None:
        self._client = client
        self._tables = tables
        self._trouble: AttemptFailure | None = None

    def table(self, tab: TabName) -> str:
        """The full name of a tab's table."""
        return self._tables.name(tab)

    async def put(
        self, tab: TabName, columns: Sequence[Column], rows: Sequence[Row]
    ) -> Sequence[Placed | RowRefused]:
        """See `RowStore.put`. It raises nothing that concerns only a part of the rows.

        A row whose outcome is unknown is a `RowRefused`, too, of an `OutcomeUnknown`.
        """
        answers: dict[int, Placed | RowRefused] = {}
        placed = Placed("bigquery", self.table(tab))
        waiting = [(index, row) for index, row in enumerate(rows)]
        failure: AttemptFailure = ThrottledError(
            BigQueryCode.UNAVAILABLE, "BigQuery did not store the row", retry_after=SHORT_SECONDS
        )
        for turn in range(ROUNDS):
            if turn:
                await asyncio.sleep(FIRST_PAUSE * 2**turn)
            again, failure = await self._send(tab, columns, waiting, answers, placed, failure)
            if not again:
                break
            waiting = [(index, row) for index, row in waiting if index in again]
        for index in range(len(rows)):
            answers.setdefault(index, RowRefused(failure))
        self._trouble = next(
            (
                answer.failure
                for answer in answers.values()
                if isinstance(answer, RowRefused) and not isinstance(answer.failure, PermanentError)
            ),
            None,
        )
        return [answers[index] for index in range(len(rows))]

    async def find(self, tab: TabName, keys: Sequence[str]) -> Sequence[Row]:
        """See `Overflow.find`. Raises `AttemptFailure`."""
        if not keys:
            return []
        statement = SQL["find_rows"].replace("{table}", self.table(tab))
        wanted = bigquery.ArrayQueryParameter("keys", "STRING", list(keys))
        try:
            found = await self._client.select(statement, [wanted])
        except TableMissing:
            return []
        return [decode_row(each["row_key"], each["row_values"]) for each in found
                if each["row_values"] is not None]  # fmt: skip

    async def reason(self) -> str | None:
        """See `Overflow.reason`."""
        return None if self._trouble is None else str(self._trouble)

    async def _send(
        self,
        tab: TabName,
        columns: Sequence[Column],
        rows: Sequence[tuple[int, Row]],
        answers: dict[int, Placed | RowRefused],
        placed: Placed,
        failure: AttemptFailure,
    ) -> tuple[set[int], AttemptFailure]:
        """One turn: fills `answers`; the rows to send again, and why."""
        again: set[int] = set()
        try:
            names = await self._tables.prepare(tab, needs_of(columns, [row for _, row in rows]))
        except AttemptFailure as raised:
            answers.update({index: RowRefused(raised) for index, _ in rows})
            return again, raised
        now = datetime.now(UTC)
        sent = []
        for index, row in rows:
            each = _measure(index, row.key, encode_row(row, columns, names, now))
            if each.size > MOST_BYTES:
                answers[index] = RowRefused(_too_large())
            else:
                sent.append(each)
        for chunk in chunks(sent):
            try:
                problems = await self._insert(placed.target, chunk)
            except TableMissing as raised:
                self._tables.forget(tab)
                again.update(each.place for each in chunk)
                failure = _not_yet(raised)
                continue
            except AttemptFailure as raised:
                answers.update({each.place: RowRefused(raised) for each in chunk})
                continue
            for each in chunk:
                problem = problems.get(each.place)
                if problem is None:
                    answers[each.place] = placed
                elif is_passing(problem, names.values()):
                    self._tables.forget(tab)
                    again.add(each.place)
                    failure = _wait(problem)
                else:
                    answers[each.place] = RowRefused(_refused(problem))
        return again, failure

    async def _insert(self, table: str, chunk: Sequence[_Sent]) -> dict[int, RowProblem]:
        """What is wrong with which rows; a request that is too large is sent in halves."""
        try:
            found = await self._client.insert(
                table, [each.json for each in chunk], [each.key for each in chunk]
            )
        except PermanentError as error:
            if error.code != BigQueryCode.TOO_LARGE or len(chunk) == 1:
                raise
            middle = len(chunk) // 2
            return {
                **await self._insert(table, chunk[:middle]),
                **await self._insert(table, chunk[middle:]),
            }
        return {chunk[problem.row].place: problem for problem in found}


class NoOverflow:
    """The `Overflow` of a deployment without BigQuery: it takes nothing, and a person must act."""

    takes_rows = False

    def table(self, tab: TabName) -> str:
        """No table."""
        del tab
        return ""

    async def put(
        self, tab: TabName, columns: Sequence[Column], rows: Sequence[Row]
    ) -> Sequence[Placed | RowRefused]:
        """See `RowStore.put`."""
        del tab, columns
        failure = ActionRequired(
            BigQueryCode.NOT_FOUND,
            "the sheet does not take the row, and there is no BigQuery: make room in the workbook, "
            "or set MIRSAL_BIGQUERY_PROJECT",
        )
        return [RowRefused(failure) for _ in rows]

    async def find(self, tab: TabName, keys: Sequence[str]) -> Sequence[Row]:
        """See `Overflow.find`."""
        del tab, keys
        return []

    async def reason(self) -> str | None:
        """See `Overflow.reason`."""
        return None


@asynccontextmanager
async def open_bigquery(
    settings: BigQuerySettings, credentials: Callable[[], Credentials]
) -> AsyncIterator[BigQueryRows | NoOverflow]:
    """BigQuery with its threads and connections, or nothing where no project is set."""
    if not settings.project:
        yield NoOverflow()
        return
    client = BigQueryClient(settings, credentials)
    try:
        yield BigQueryRows(client, Tables(client, settings))
    finally:
        client.close()


def chunks(rows: Sequence[_Sent]) -> Iterator[list[_Sent]]:
    """As many at a time as a request may hold."""
    chunk: list[_Sent] = []
    size = 0
    for row in rows:
        if chunk and (len(chunk) == MOST_ROWS or size + row.size > MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += row.size
    if chunk:
        yield chunk


def is_passing(problem: RowProblem, own: Sequence[str] | Any) -> bool:
    """Whether the row is worth sending again: it was only stopped, or came too early."""
    if REASONS.get(problem.reason) in ("trouble", "rate", "quota"):
        return True
    # Streaming learns of a new column some time after the table did.
    if NO_SUCH_FIELD not in problem.message:
        return False
    return problem.location.lower() in {name.lower() for name in (*own, *OWN_COLUMNS)}


def _measure(place: int, key: str, encoded: dict[str, Any]) -> _Sent:
    size = _size(encoded)
    if size > MOST_BYTES:
        # No sheet would take it back either.
        encoded = {name: value for name, value in encoded.items() if name != VALUES_COLUMN}
        size = _size(encoded)
    return _Sent(place, key, encoded, size)


def _size(encoded: dict[str, Any]) -> int:
    # As Google's client writes it: six bytes for each Arabic letter.
    return len(json.dumps(encoded)) + 200


def _wait(problem: RowProblem) -> ThrottledError:
    quota = REASONS.get(problem.reason) == "quota"
    return ThrottledError(
        BigQueryCode.QUOTA if quota else BigQueryCode.UNAVAILABLE,
        f"BigQuery did not store the row yet: {problem.reason} {problem.message}".strip(),
        retry_after=LONG_SECONDS if quota else SHORT_SECONDS,
    )


def _not_yet(missing: TableMissing) -> ThrottledError:
    return ThrottledError(
        BigQueryCode.UNAVAILABLE,
        f"the table is new, and not known to streaming yet: {missing.message}",
        retry_after=SHORT_SECONDS,
    )


def _refused(problem: RowProblem) -> PermanentError:
    where = f" ({problem.location})" if problem.location else ""
    return PermanentError(
        BigQueryCode.REFUSED, f"BigQuery refused the row: {problem.message}{where}"
    )


def _too_large() -> PermanentError:
    return PermanentError(
        BigQueryCode.TOO_LARGE, "the row is larger than BigQuery takes in a request (10 MB)"
    )
