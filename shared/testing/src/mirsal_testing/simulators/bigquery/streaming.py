"""Judging the rows of one insertAll as Google does, and the memory of its streaming buffer.

Pure but for that memory. The rows themselves are stored by the emulator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirsal_testing.simulators.bigquery.errors import invalid
from mirsal_testing.simulators.bigquery.values import Misfit, convert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirsal_testing.simulators.bigquery.schemas import Column
    from mirsal_testing.simulators.bigquery.values import Json

LONGEST_INSERT_ID = 128
MOST_ROWS = 50_000
MOST_IDS = 100_000


@dataclass(frozen=True, slots=True)
class Row:
    """One sent row; `index` is its place in the request."""

    index: int
    insert_id: str | None
    json: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class RowError:
    reason: str
    location: str = ""
    message: str = ""

    def json(self) -> dict[str, str]:
        return {
            "reason": self.reason,
            "location": self.location,
            "debugInfo": "",
            "message": self.message,
        }


STOPPED = RowError("stopped")


@dataclass
class Judgement:
    """Which rows are stored, as they are stored, and the errors of the others by index."""

    stored: list[Row] = field(default_factory=list)
    errors: dict[int, RowError] = field(default_factory=dict)

    def answer(self) -> dict[str, object]:
        answer: dict[str, object] = {"kind": "bigquery#tableDataInsertAllResponse"}
        if self.errors:
            answer["insertErrors"] = [
                {"index": index, "errors": [error.json()]}
                for index, error in sorted(self.errors.items())
            ]
        return answer


def read_rows(body: Mapping[str, Json]) -> list[Row]:
    """Raises GoogleError where the whole request is refused."""
    sent = body.get("rows")
    if not isinstance(sent, list) or not sent:
        raise invalid("No rows present in the request.")
    if len(sent) > MOST_ROWS:
        raise invalid(f"too many rows present in the request, limit: {MOST_ROWS} row count")
    return [_read_row(index, row) for index, row in enumerate(sent)]


def _read_row(index: int, sent: Json) -> Row:
    if not isinstance(sent, dict) or not isinstance(sent.get("json"), dict):
        raise invalid(f"Invalid value at 'rows[{index}].json'")
    insert_id = sent.get("insertId")
    if insert_id is not None and len(str(insert_id)) > LONGEST_INSERT_ID:
        raise invalid(f"insertId of rows[{index}] is longer than 128 bytes")
    values = sent["json"]
    assert isinstance(values, dict)  # noqa: S101 - seen above
    return Row(index, None if insert_id is None else str(insert_id), values)


def judge(
    rows: Sequence[Row],
    columns: Sequence[Column],
    refused: Mapping[int, RowError],
    *,
    skip_invalid: bool,
    ignore_unknown: bool,
) -> Judgement:
    """Without `skip_invalid` one bad row stops all; `refused` are rows that a rule refuses."""
    known = {column.name.lower(): column for column in columns}
    judgement = Judgement(errors=dict(refused))
    for row in rows:
        if row.index in refused:
            continue
        try:
            values = _convert_row(row.json, known, ignore_unknown=ignore_unknown)
        except RowRefused as refusal:
            judgement.errors[row.index] = refusal.error
        else:
            judgement.stored.append(Row(row.index, row.insert_id, values))
    if judgement.errors and not skip_invalid:
        for row in judgement.stored:
            judgement.errors[row.index] = STOPPED
        judgement.stored.clear()
    return judgement


class RowRefused(Exception):
    def __init__(self, location: str, message: str) -> None:
        self.error = RowError("invalid", location, message)
        super().__init__(message)


def _convert_row(
    sent: Mapping[str, Json], known: Mapping[str, Column], *, ignore_unknown: bool
) -> dict[str, Json]:
    values: dict[str, Json] = {}
    for name, value in sent.items():
        column = known.get(name.lower())
        if column is None:
            if ignore_unknown:
                continue
            raise RowRefused(name, f"no such field: {name}.")
        try:
            values[column.name] = convert(value, column.type, column.name)
        except Misfit as misfit:
            raise RowRefused(column.name, str(misfit)) from misfit
    for column in known.values():
        if column.mode == "REQUIRED" and values.get(column.name) is None:
            raise RowRefused(
                column.name, f"Missing required field: Msg_0_CLOUD_QUERY_TABLE.{column.name}."
            )
    return values


class StreamingBuffer:
    """What Google's streaming buffer knows: recent insertIds, and since when it knows a column.

    Times are seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], float] = {}
        self._tables: dict[str, float] = {}
        self._columns: dict[tuple[str, str], float] = {}

    def note_table(self, table: str, now: float) -> None:
        """A table was made; what was known of an earlier one of its name is forgotten."""
        self.forget_table(table)
        self._tables[table] = now

    def forget_table(self, table: str) -> None:
        self._tables.pop(table, None)
        self._ids = {key: at for key, at in self._ids.items() if key[0] != table}
        self._columns = {key: at for key, at in self._columns.items() if key[0] != table}

    def note_column(self, table: str, column: str, now: float) -> None:
        self._columns[table, column] = now

    def knows_table(self, table: str, now: float, lag: float) -> bool:
        made = self._tables.get(table)
        return made is None or now - made >= lag

    def known_columns(
        self, table: str, columns: Sequence[Column], now: float, lag: float
    ) -> list[Column]:
        def is_known(column: Column) -> bool:
            added = self._columns.get((table, column.name))
            return added is None or now - added >= lag

        return [column for column in columns if is_known(column)]

    def drop_repeated(
        self, table: str, rows: Sequence[Row], now: float, window: float
    ) -> list[Row]:
        """Those rows whose insertId did not come within `window` seconds; 0 keeps all."""
        kept: list[Row] = []
        seen: set[str] = set()
        for row in rows:
            if row.insert_id is not None and window > 0:
                stored = self._ids.get((table, row.insert_id))
                if row.insert_id in seen or (stored is not None and now - stored < window):
                    continue
                seen.add(row.insert_id)
            kept.append(row)
        return kept

    def remember(self, table: str, rows: Sequence[Row], now: float, window: float) -> None:
        """These rows were stored."""
        if len(self._ids) > MOST_IDS:
            self._ids = {key: at for key, at in self._ids.items() if now - at < window}
        self._ids.update({(table, row.insert_id): now for row in rows if row.insert_id is not None})

    def clear_ids(self) -> None:
        self._ids.clear()
