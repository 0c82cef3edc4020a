"""Imports of leads as a stream of lines, NDJSON or CSV: from bytes to drafts or faults. Pure."""

import csv
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import orjson
from pydantic import JsonValue

from gateway.bodies import fit, parse
from gateway.leads.schemas import LeadLine, LineFault
from gateway.problems import Fault, Problem, invalid

LINE_BYTES: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_ID_COLUMNS: Final = ("leadId", "id")
_PLAIN_COLUMNS: Final = ("name", "email", "phone", "locale", "timeZone")
_CONSENTS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Line(NamedTuple):
    """One record: the number of its first line, and the lead or what is wrong with it."""

    number: int
    lead: LeadLine | None
    faults: list[LineFault]


class Reader(Protocol):
    """Turns the body's chunks into lines as they come."""

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that `chunk` completes. Raises a 422 `Problem` for what is no table at all."""

    def close(self) -> Iterator[Line]:
        """The last line, which need not end."""


class _Lines:
    """Cuts bytes into lines of at most `LINE_BYTES`."""

    def __init__(self, before: int = 0) -> None:
        self._rest = b""
        self.number = before

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self.number += 1
            _check_length(line, self.number)
            yield self._first(line).removesuffix(b"\r")
        _check_length(self._rest, self.number + 1)

    def close(self) -> Iterator[bytes]:
        if self._rest:
            self.number += 1
            yield self._first(self._rest)

    def _first(self, line: bytes) -> bytes:
        return line.removeprefix(_BOM) if self.number == 1 else line


def _check_length(line: bytes, number: int) -> None:
    if len(line) > LINE_BYTES:
        raise invalid([Fault(f"Line {number} is longer than {LINE_BYTES:,} bytes.")])


class NdjsonReader:
    """One JSON object a line: the shape of a lead, with its `leadId`. Empty lines are skipped.

    `before` is how many lines came before those that it is fed.
    """

    def __init__(self, before: int = 0) -> None:
        self._lines = _Lines(before)

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """As `Reader.feed`."""
        for line in self._lines.feed(chunk):
            yield from self._read(line)

    def close(self) -> Iterator[Line]:
        """As `Reader.close`."""
        for line in self._lines.close():
            yield from self._read(line)

    def _read(self, line: bytes) -> Iterator[Line]:
        if line.strip():
            yield _to_line(self._lines.number, line)


class CsvReader:
    """A header line, then a lead a record; quoted values may hold commas and line breaks.

    Columns: `leadId` (or `id`), `name`, `email`, `phone`, `locale`, `timeZone`, `tags` (separated
    by `;`), `consent.email`, `consent.whatsapp` (true or false); any other column, with or without
    `fields.` before it, is a field of that name. An empty cell is no value.

    With a `header` no header line is expected, but records after `before` lines.
    """

    def __init__(self, header: list[str] | None = None, before: int = 0) -> None:
        self._lines = _Lines(before)
        self._header: list[str] = header or []
        self._record = b""
        self._record_line = 0

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """As `Reader.feed`."""
        for line in self._lines.feed(chunk):
            yield from self._gather(line)

    def close(self) -> Iterator[Line]:
        """As `Reader.close`."""
        for line in self._lines.close():
            yield from self._gather(line)
        if self._record:
            yield _faulty(self._record_line, Fault("a quoted value does not end"))

    def _gather(self, line: bytes) -> Iterator[Line]:
        """A record goes on while a quote is open."""
        if not self._record:
            self._record_line = self._lines.number
        record = self._record + b"\n" + line if self._record else line
        if record.count(b'"') % 2:
            self._record = record
            if len(record) > LINE_BYTES:
                raise invalid([Fault(f"The record of line {self._record_line} does not end.")])
            return
        self._record = b""
        if record.strip():
            yield from self._read(record)

    def _read(self, record: bytes) -> Iterator[Line]:
        try:
            cells = next(csv.reader([record.decode()], strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            yield _faulty(self._record_line, Fault(f"is not CSV in UTF-8: {error}"))
            return
        if not self._header:
            self._header = _check_header([cell.strip() for cell in cells])
        elif len(cells) != len(self._header):
            yield _faulty(
                self._record_line,
                Fault(f"has {len(cells)} cells, and the header {len(self._header)}"),
            )
        else:
            lead = _from_cells(dict(zip(self._header, cells, strict=True)))
            yield _to_line(self._record_line, orjson.dumps(lead))


def read_header(record: bytes) -> list[str]:
    """The columns that a header line names. Raises a 422 `Problem`."""
    try:
        cells = next(csv.reader([record.decode()], strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise invalid([Fault(f"The first line is not CSV in UTF-8: {error}")]) from error
    return _check_header([cell.strip() for cell in cells])


def _check_header(columns: list[str]) -> list[str]:
    if not any(name in columns for name in _ID_COLUMNS):
        raise invalid([Fault("The first line names the columns; one of them must be leadId.")])
    if len(set(columns)) < len(columns) or "" in columns:
        raise invalid([Fault("Each column of the first line needs a name of its own.")])
    return columns


def _from_cells(cells: dict[str, str]) -> JsonValue:
    lead: dict[str, JsonValue] = {}
    fields: dict[str, JsonValue] = {}
    consent: dict[str, JsonValue] = {}
    for column, cell in cells.items():
        value = cell.strip()
        if not value:
            continue
        if column in _ID_COLUMNS:
            lead["leadId"] = value
        elif column in _PLAIN_COLUMNS:
            lead[column] = value
        elif column == "tags":
            lead["tags"] = [tag.strip() for tag in value.split(";") if tag.strip()]
        elif column.startswith("consent."):
            consent[column.removeprefix("consent.")] = _CONSENTS.get(value.lower(), value)
        else:
            fields[column.removeprefix("fields.")] = value
    return {**lead, "fields": fields, "consent": consent}


def _to_line(number: int, raw: bytes) -> Line:
    fitted = fit(LeadLine, parse(raw))
    if isinstance(fitted, Problem):
        return Line(number, None, [_fault(number, fault) for fault in fitted.faults])
    return Line(number, fitted, [])


def _faulty(number: int, fault: Fault) -> Line:
    return Line(number, None, [_fault(number, fault)])


def _fault(number: int, fault: Fault) -> LineFault:
    return LineFault(line=number, pointer=fault.pointer, message=fault.message)
