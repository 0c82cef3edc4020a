"""A row as BigQuery's JSON: a value for each column, and all of them as they came. Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias

import orjson

from sheets_worker.bigquery.names import VALUES_COLUMN, ColumnType, Need, type_of
from sheets_worker.rows import ROW_KEY_COLUMN, WRITTEN_AT_COLUMN, Column, Row, Value

Json: TypeAlias = str | int | float | bool | None

_DATE: Final = "date"
_DATETIME: Final = "datetime"


def needs_of(columns: Sequence[Column], rows: Sequence[Row]) -> list[Need]:
    """The columns that these rows want, in the order of `columns`: those too that are empty."""
    types = {column.name.strip(): column.type for column in columns}
    needs: dict[Need, None] = {}
    for column in columns:
        needs[Need(column.name.strip(), type_of(None, column.type))] = None
    for row in rows:
        for name, value in row.values.items():
            header = name.strip()
            needs[Need(header, type_of(value, types.get(header)))] = None
    return list(needs)


def encode_row(
    row: Row, columns: Sequence[Column], names: Mapping[Need, str], written_at: datetime
) -> dict[str, Any]:
    """The row under the names of its columns; `_mirsal_values` holds it as it came."""
    types = {column.name.strip(): column.type for column in columns}
    encoded: dict[str, Any] = {
        ROW_KEY_COLUMN: row.key,
        WRITTEN_AT_COLUMN: written_at.astimezone(UTC).isoformat(),
        VALUES_COLUMN: _pack(row),
    }
    for name, value in row.values.items():
        need = Need(name.strip(), type_of(value, types.get(name.strip())))
        column = names.get(need)
        if column is not None and value is not None:
            encoded[column] = _encode(value, need.type)
    return encoded


def decode_row(key: str, packed: str) -> Row:
    """The row that `_mirsal_values` holds."""
    given = orjson.loads(packed)
    values = {name: _restore(kind, value) for name, kind, value in given["values"]}
    return Row(key, given["workspace"], values)


def _encode(value: Value, kind: ColumnType) -> Json:
    if kind == "STRING":
        return _text(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _text(value: Value) -> str:
    match value:
        case str():
            return value
        case datetime() | date():
            return value.isoformat()
        case _:
            return orjson.dumps(value).decode()


def _pack(row: Row) -> str:
    packed = [[name, *_tagged(value)] for name, value in row.values.items()]
    return orjson.dumps({"workspace": row.workspace, "values": packed}).decode()


def _tagged(value: Value) -> tuple[str | None, Json]:
    if isinstance(value, datetime):
        return _DATETIME, value.isoformat()
    if isinstance(value, date):
        return _DATE, value.isoformat()
    return None, value


def _restore(kind: str | None, value: Any) -> Value:
    match kind:
        case "datetime":
            return datetime.fromisoformat(value)
        case "date":
            return date.fromisoformat(value)
        case _:
            plain: Value = value
            return plain
