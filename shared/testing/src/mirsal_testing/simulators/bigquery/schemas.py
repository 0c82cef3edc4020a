"""What Google checks of a table's schema, when it is made and when it is widened: pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.bigquery.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirsal_testing.simulators.bigquery.values import Json

TABLE_ID = re.compile(r"[\w\- ]{1,1024}")
COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}", re.ASCII)
RESERVED_PREFIXES = (
    "_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER",
)  # fmt: skip
MOST_COLUMNS = 10_000
LONGEST_COLUMN_DESCRIPTION = 1024
SAME_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
SQL_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, as the API words it."""

    name: str
    type: str
    mode: str = "NULLABLE"
    description: str = ""

    @property
    def sql_type(self) -> str:
        return SQL_TYPES.get(self.type, self.type)


def read_columns(table: Mapping[str, Any]) -> list[Column]:
    """The columns of a table's JSON. Raises GoogleError for what Google refuses in any table."""
    fields: Sequence[Mapping[str, Json]] = (table.get("schema") or {}).get("fields") or ()
    columns = [_read_column(field) for field in fields]
    if len(columns) > MOST_COLUMNS:
        raise invalid(f"Too many total leaf fields: {len(columns)}, max allowed field count: 10000")
    seen: set[str] = set()
    for column in columns:
        if column.name.lower() in seen:
            raise invalid(f"Field {column.name} already exists in schema")
        seen.add(column.name.lower())
    return columns


def _read_column(field: Mapping[str, Json]) -> Column:
    name = str(field.get("name") or "")
    if not COLUMN_NAME.fullmatch(name):
        raise invalid(
            f'Invalid field name "{name}". Fields must contain only letters, numbers, and '
            "underscores, start with a letter or underscore, and be at most 300 characters long."
        )
    if name.upper().startswith(RESERVED_PREFIXES):
        raise invalid(f'Invalid field name "{name}". The prefix is reserved.')
    kind = str(field.get("type") or "").upper()
    description = str(field.get("description") or "")
    if len(description) > LONGEST_COLUMN_DESCRIPTION:
        raise invalid(f"The description for field {name} is too long")
    mode = str(field.get("mode") or "NULLABLE").upper()
    return Column(name, SAME_TYPES.get(kind, kind), mode, description)


def check_new_table(table_id: str, table: Mapping[str, Any]) -> list[Column]:
    if not TABLE_ID.fullmatch(table_id):
        raise invalid(
            f'Invalid table ID "{table_id}". Table IDs must be alphanumeric (plus underscores and '
            "dashes) and must be at most 1024 characters long."
        )
    return read_columns(table)


def check_widening(table: str, old: Sequence[Column], new: Sequence[Column]) -> list[Column]:
    """The columns that `new` adds. Raises GoogleError where it changes or leaves out others."""
    wanted = {column.name.lower(): column for column in new}
    problem = f"Provided Schema does not match Table {table}."
    for column in old:
        found = wanted.pop(column.name.lower(), None)
        if found is None:
            raise invalid(f"{problem} Field {column.name} is missing in new schema")
        if found.type != column.type:
            raise invalid(
                f"{problem} Field {column.name} has changed type from {column.type} to {found.type}"
            )
        if found.mode != column.mode and (column.mode, found.mode) != ("REQUIRED", "NULLABLE"):
            raise invalid(
                f"{problem} Field {column.name} has changed mode from {column.mode} to {found.mode}"
            )
    for column in wanted.values():
        if column.mode == "REQUIRED":
            raise invalid(
                f"{problem} Cannot add required fields to an existing schema. "
                f"(field: {column.name})"
            )
    return list(wanted.values())
