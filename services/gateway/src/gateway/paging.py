"""Pages of lists: oldest or newest first, of some time, continued by an opaque cursor that writes
cannot shift. One way for all lists. Pure."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AfterValidator, AwareDatetime

from gateway.problems import Fault, Problem, invalid

PAGE_ITEMS = 50
MOST_ITEMS = 200
CURSOR_CHARACTERS = 512

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

ItemT = TypeVar("ItemT")

Limit = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="How many items at most.")]
CursorText = Annotated[
    str | None,
    Query(
        max_length=CURSOR_CHARACTERS,
        description="`nextCursor` of the page before.",
        min_length=1,
        pattern=r"^[A-Za-z0-9_-]+$",
    ),
]


class Cursor(NamedTuple):
    """The place after one item: lists are ordered by (`at`, `id`)."""

    at: datetime
    id: str

    def to_text(self) -> str:
        """As clients carry it."""
        micros = (self.at - _EPOCH) // _MICROSECOND
        return urlsafe_b64encode(f"{micros}/{self.id}".encode()).decode().rstrip("=")


START = Cursor(_EPOCH, "")
END = Cursor(datetime.max.replace(tzinfo=UTC), "")
MOST_NUMBER = 2**31 - 1


class Sort(StrEnum):
    """What a list is ordered by; with a minus the other way round."""

    OLDEST = "createdAt"
    NEWEST = "-createdAt"


class LineSort(StrEnum):
    """As `Sort`, for what has lines and no times."""

    FIRST = "line"
    LAST = "-line"


def _to_utc(moment: datetime) -> datetime:
    """Raises `ValueError` for a moment whose UTC is outside the years 1 to 9999."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the years 1 to 9999 of UTC") from error


Moment: TypeAlias = Annotated[AwareDatetime, AfterValidator(_to_utc)]


class Asked(NamedTuple):
    """Which page of a list is asked for: what was created from `since` on and before `until`."""

    limit: int = PAGE_ITEMS
    cursor: str | None = None
    is_backwards: bool = False
    since: datetime | None = None
    until: datetime | None = None

    @property
    def after(self) -> Cursor:
        """Where the page begins. Raises a 422 `Problem`."""
        if self.cursor is None and self.is_backwards:
            return END
        return read_cursor(self.cursor)

    @property
    def place(self) -> tuple[datetime, UUID]:
        """As `after`, of a list whose ids are UUIDs."""
        after = self.after
        try:
            return after.at, UUID(after.id) if after.id else UUID(int=0)
        except ValueError as error:
            raise _foreign_cursor() from error

    @property
    def number(self) -> int:
        """As `after`, of a list that is ordered by numbers up to `MOST_NUMBER`."""
        after = self.after
        if not after.id:
            return MOST_NUMBER + 1 if self.is_backwards else 0
        if not (after.id.isascii() and after.id.isdecimal()) or int(after.id) > MOST_NUMBER:
            raise _foreign_cursor()
        return int(after.id)


def _ask(
    sort: Annotated[
        Sort, Query(description="`createdAt`: oldest first; `-createdAt`: newest first.")
    ] = Sort.OLDEST,
    created_after: Annotated[
        Moment | None, Query(alias="createdAfter", description="From this time on.")
    ] = None,
    created_before: Annotated[
        Moment | None, Query(alias="createdBefore", description="Before this time.")
    ] = None,
    limit: Limit = PAGE_ITEMS,
    cursor: CursorText = None,
) -> Asked:
    return Asked(limit, cursor, sort is Sort.NEWEST, created_after, created_before)


Page: TypeAlias = Annotated[Asked, Depends(_ask)]
"""The parameters of every list."""


def _ask_by_line(
    sort: Annotated[
        LineSort, Query(description="`line`: the first first; `-line`: the last first.")
    ] = LineSort.FIRST,
    limit: Limit = PAGE_ITEMS,
    cursor: CursorText = None,
) -> Asked:
    return Asked(limit, cursor, sort is LineSort.LAST)


LinePage: TypeAlias = Annotated[Asked, Depends(_ask_by_line)]
"""Those of a list of lines."""


class BothWays(NamedTuple):
    """A list's statement in both orders."""

    onwards: str
    backwards: str

    @classmethod
    def of(cls, statement: str) -> "BothWays":
        """From the one that goes onwards: it compares one row, `) > ($`, and orders by columns that
        each say `ASC`. Raises `ValueError` for any other."""
        if statement.count(") > ($") != 1 or " ASC" not in statement:
            raise ValueError(f"cannot be turned round: {statement}")
        return cls(statement, statement.replace(") > ($", ") < ($").replace(" ASC", " DESC"))

    def for_page(self, asked: Asked) -> str:
        """The one that is asked for."""
        return self.backwards if asked.is_backwards else self.onwards


def read_cursor(text: str | None) -> Cursor:
    """The cursor that `to_text` wrote; the list's start for None. Raises a 422 `Problem`."""
    if text is None:
        return START
    try:
        plain = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        micros, slash, name = plain.partition("/")
        if not slash or "\0" in name:
            raise ValueError
        return Cursor(_EPOCH + int(micros) * _MICROSECOND, name)
    except (Base64Error, ValueError, OverflowError) as error:
        raise invalid(
            [Fault("is not a cursor of this API: pass nextCursor on as it is", parameter="cursor")]
        ) from error


def _foreign_cursor() -> Problem:
    text = "is not a cursor of this list: pass nextCursor on as it is"
    return invalid([Fault(text, parameter="cursor")])


def cut_page(
    items: Sequence[ItemT], limit: int, place: Callable[[ItemT], Cursor]
) -> tuple[Sequence[ItemT], str | None]:
    """The page of `items`, which were asked for with one more than `limit`, and its nextCursor."""
    if len(items) <= limit:
        return items, None
    return items[:limit], place(items[limit - 1]).to_text()
