"""Names in BigQuery's alphabet for tabs and columns, and which columns a table still needs: pure.

A column's description holds the header that it stands for; that, and its type, find it again.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import Final, Literal, NamedTuple, TypeAlias

from mirsal_contracts.nodes.google_sheets import CellType

from sheets_worker.rows import ROW_KEY_COLUMN, WRITTEN_AT_COLUMN, TabName, Value

VALUES_COLUMN: Final = "_mirsal_values"
OWN_COLUMNS: Final = (ROW_KEY_COLUMN, WRITTEN_AT_COLUMN, VALUES_COLUMN)
VIEW_ENDING: Final = "__rows"

ColumnType: TypeAlias = Literal["STRING", "FLOAT", "DATE", "TIMESTAMP", "BOOLEAN"]

LONGEST_TABLE_PART = 100
LONGEST_COLUMN = 200
MOST_COLUMNS = 9_000
_STRANGE = re.compile(r"[^A-Za-z0-9]+", re.ASCII)
_TYPES: Final[Mapping[CellType, ColumnType]] = {
    "text": "STRING",
    "number": "FLOAT",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "boolean": "BOOLEAN",
}
_WORDS: Final[Mapping[ColumnType, str]] = {
    "STRING": "text",
    "FLOAT": "number",
    "DATE": "date",
    "TIMESTAMP": "time",
    "BOOLEAN": "boolean",
}


class Need(NamedTuple):
    """A column that rows want: the header's name, and a type."""

    header: str
    type: ColumnType


class TableColumn(NamedTuple):
    """A column that a table has. `header` is its description."""

    name: str
    type: str
    header: str


class Plan(NamedTuple):
    """Which column each need has, and those that are to be added for that.

    A need that BigQuery's limit of columns leaves no room for has none.
    """

    names: Mapping[Need, str]
    added: Sequence[TableColumn]


def name_table(tab: TabName) -> str:
    """A tab's table; the hash tells apart what looks the same in BigQuery's alphabet."""
    parts = (_plain(tab.spreadsheet_id), _plain(tab.sheet))
    readable = "__".join(part[:LONGEST_TABLE_PART] for part in parts if part)
    return f"{readable or 'tab'}__{_digest(*tab)}"


def type_of(value: Value, declared: CellType | None) -> ColumnType:
    """The type of the column that a value goes to.

    That of its column where it fits; a column without a type is one of texts.
    """
    kind: ColumnType = "STRING" if declared is None else _TYPES[declared]
    return kind if kind == "STRING" or value is None or kind == _natural(value) else _natural(value)


def plan_columns(existing: Iterable[TableColumn], needs: Iterable[Need]) -> Plan:
    """Find or name a column for each need. A header whose type has changed gets a second column."""
    found: dict[Need, str] = {}
    taken: set[str] = set()
    known: dict[tuple[str, str], str] = {}
    for column in existing:
        taken.add(column.name.lower())
        known.setdefault((column.header, column.type), column.name)
    added: list[TableColumn] = []
    for need in needs:
        if need in found:
            continue
        name = known.get((need.header, need.type))
        if name is None:
            if len(taken) >= MOST_COLUMNS:
                continue
            name = _new_name(need, taken)
            taken.add(name.lower())
            added.append(TableColumn(name, need.type, need.header))
        found[need] = name
    return Plan(found, added)


def _new_name(need: Need, taken: Collection[str]) -> str:
    """The header's letters if that name is free, else with its type, else with a hash."""
    base = _plain(need.header)[:LONGEST_COLUMN]
    if not base or base[0].isdigit():
        base = f"column_{base}" if base else f"column_{_digest(need.header)}"
    typed = f"{base}_{_WORDS[need.type]}"
    for name in (base, typed, f"{base}_{_digest(need.header)}"):
        if name.lower() not in taken:
            return name
    return f"{typed}_{_digest(need.header)}"


def _natural(value: Value) -> ColumnType:
    match value:
        case bool():
            return "BOOLEAN"
        case int() | float():
            return "FLOAT"
        # A datetime is a date, too.
        case datetime():
            return "TIMESTAMP"
        case date():
            return "DATE"
        case _:
            return "STRING"


def _plain(text: str) -> str:
    """Its Latin letters and digits, without accents; everything else is `_`."""
    folded = unicodedata.normalize("NFKD", text)
    bare = "".join(each for each in folded if not unicodedata.combining(each))
    return _STRANGE.sub("_", bare).strip("_")


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:10]
