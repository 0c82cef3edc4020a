"""What the connector is given and what it answers."""

from typing import Any, Literal

from mirsal_contracts.message import Message
from mirsal_contracts.nodes.google_sheets import GoogleSheetsConfig, Operation


class SheetsParams(GoogleSheetsConfig):
    """A rendered `google_sheets` node."""


class SheetsResult(Message):
    """What was done. For a row: where it is, and under which key.

    `rows` are what `read` and `lookup` found, by column; `matched` how many rows there are for
    `lookup`, `update` and `upsert`. `row` is a row's number at that time.
    """

    operation: Operation
    place: Literal["sheet", "bigquery"] | None = None
    range: str | None = None
    row: int | None = None
    row_key: str | None = None
    table: str | None = None
    reason: str | None = None
    matched: int | None = None
    rows: tuple[dict[str, Any], ...] | None = None
