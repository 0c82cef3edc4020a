"""Cuts an import into parts that stand for themselves, while it comes in. Pure."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.leads.bulk import LINE_BYTES, read_header
from gateway.problems import Fault, invalid

PART_BYTES: Final = 128 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class Piece(NamedTuple):
    """Whole records; `line` is the number of the first line, `records` how many there are."""

    line: int
    body: bytes
    records: int


class Cutter:
    """Cuts between lines; in CSV never within quotes, and the header is taken off first."""

    def __init__(self, *, is_csv: bool) -> None:
        self._is_csv = is_csv
        self._rest = b""
        self._line = 1
        self.header: list[str] | None = None

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """The pieces that are complete now. Raises a 422 `Problem` for what is no table."""
        self._rest += chunk
        yield from self._cut(is_end=False)

    def close(self) -> Iterator[Piece]:
        """What is left."""
        yield from self._cut(is_end=True)

    def _cut(self, *, is_end: bool) -> Iterator[Piece]:
        while self._is_csv and self.header is None and self._take_header(is_end=is_end):
            pass
        if self._is_csv and self.header is None:
            return
        while len(self._rest) >= PART_BYTES:
            end = self._find_cut()
            if end == 0:
                if len(self._rest) > PART_BYTES + LINE_BYTES:
                    raise invalid([Fault(f"The record of line {self._line} does not end.")])
                break
            yield self._take(end)
        if is_end and self._rest:
            yield self._take(len(self._rest))

    def _take_header(self, *, is_end: bool) -> bool:
        """Take off the first record; whether there is more to do for the header."""
        end = self._end_of_record()
        if end == 0:
            if len(self._rest) > LINE_BYTES:
                raise invalid([Fault(f"The record of line {self._line} does not end.")])
            if not is_end or not self._rest:
                return False
            end = len(self._rest)
        record, self._rest = self._rest[:end], self._rest[end:]
        if self._line == 1:
            record = record.removeprefix(_BOM)
        self._line += record.count(b"\n")
        if record.strip():
            self.header = read_header(record.rstrip(b"\r\n"))
        return self.header is None

    def _end_of_record(self) -> int:
        return next(self._ends_within(len(self._rest)), 0)

    def _find_cut(self) -> int:
        """The end of the last whole record of a part's size; 0 where none ends."""
        if not self._is_csv:
            return self._rest.rfind(b"\n", 0, PART_BYTES) + 1
        return max(self._ends_within(PART_BYTES), default=0)

    def _ends_within(self, size: int) -> Iterator[int]:
        """Where stretches that no quote holds have their first and their last line's end.

        Each byte is looked at once: a file of quotes and line ends takes no longer than another.
        """
        at = 0
        for number, stretch in enumerate(self._rest[:size].split(b'"')):
            if number % 2 == 0:
                for found in (stretch.find(b"\n"), stretch.rfind(b"\n")):
                    if found >= 0:
                        yield at + found + 1
            at += len(stretch) + 1

    def _take(self, end: int) -> Piece:
        body, self._rest = self._rest[:end], self._rest[end:]
        piece = Piece(self._line, body, self._count(body))
        self._line += body.count(b"\n")
        return piece

    def _count(self, body: bytes) -> int:
        """Records, without blank lines; a record goes on while a quote is open."""
        count, is_open = 0, False
        for line in body.split(b"\n"):
            if not is_open and line.strip():
                count += 1
            if self._is_csv and line.count(b'"') % 2:
                is_open = not is_open
        return count
