"""Pages of lists: oldest first, continued by an opaque cursor that writes cannot shift. Pure."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple, TypeVar

from fastapi import Query

from gateway.problems import Fault, invalid

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


def read_number(cursor: Cursor, *, most: int = 2**31 - 1) -> int:
    """The number after which a list goes on that is ordered by numbers. Raises a 422 `Problem`."""
    if not cursor.id:
        return 0
    if not (cursor.id.isascii() and cursor.id.isdecimal()) or int(cursor.id) > most:
        text = "is not a cursor of this list: pass nextCursor on as it is"
        raise invalid([Fault(text, parameter="cursor")])
    return int(cursor.id)


def cut_page(
    items: Sequence[ItemT], limit: int, place: Callable[[ItemT], Cursor]
) -> tuple[Sequence[ItemT], str | None]:
    """The page of `items`, which were asked for with one more than `limit`, and its nextCursor."""
    if len(items) <= limit:
        return items, None
    return items[:limit], place(items[limit - 1]).to_text()
