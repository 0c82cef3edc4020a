"""Rows, and the places that take them: the sheet, and BigQuery behind it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Literal, NamedTuple, Protocol, TypeAlias

from mirsal_contracts.nodes.google_sheets import CellType
from mirsal_runtime.failures import AttemptFailure

ROW_KEY_COLUMN = "_mirsal_row_key"
WRITTEN_AT_COLUMN = "_mirsal_written_at"

Value: TypeAlias = str | int | float | bool | date | datetime | None
"""A cell's value: a datetime has its zone, a date is none."""


class TabName(NamedTuple):
    """One tab of one spreadsheet."""

    spreadsheet_id: str
    sheet: str

    @property
    def identity(self) -> tuple[str, str]:
        """What tells tabs apart: Google does not know "Leads" from "leads"."""
        return self.spreadsheet_id, self.sheet.casefold()


class Column(NamedTuple):
    """A column as a row names it; None: values are of whatever type each comes with."""

    name: str
    type: CellType | None = None


class Row(NamedTuple):
    """One row. `key` is its execution's id; a repeated attempt has the same.

    `credential_id` names the account that writes it; None: the environment's.
    """

    key: str
    workspace: str
    values: Mapping[str, Value]
    credential_id: str | None = None


class Placed(NamedTuple):
    """Where a row is.

    `target` is a range (`Leads!A5:D5`) or a table's full name; `row` its number in the sheet
    at that time; `reason` says why it is not in the sheet.
    """

    place: Literal["sheet", "bigquery"]
    target: str
    row: int | None = None
    reason: str | None = None


class RowRefused(NamedTuple):
    """A row that was surely not written, while others of its group may have been."""

    failure: AttemptFailure


class RowStore(Protocol):
    """What takes rows of a tab, many at a time."""

    async def put(
        self, tab: TabName, columns: Sequence[Column], rows: Sequence[Row]
    ) -> Sequence[Placed | RowRefused]:
        """Write rows that have these columns, or fewer; an answer for each, in their order.

        A row whose key is there already is not written again, and its answer is `Placed`.
        Raises `AttemptFailure` for what concerns all rows; `OutcomeUnknown` among them.
        """


class Overflow(RowStore, Protocol):
    """Where rows go that the sheet does not take."""

    async def find(self, tab: TabName, keys: Sequence[str]) -> Sequence[Row]:
        """The rows of these keys that are here; their values as they came."""

    async def reason(self) -> str | None:
        """Why it takes no rows now, for readiness."""
