"""The `google_sheets` node: rows of one tab of a spreadsheet."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from mirsal_contracts.credentials import CredentialId
from mirsal_contracts.nodes.config import NodeConfig

Operation: TypeAlias = Literal[
    "append", "upsert", "update", "read", "lookup", "clear", "create_tab"
]
CellType: TypeAlias = Literal["text", "number", "date", "datetime", "boolean"]
ColumnName = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^\s*[^\s]")]
Text = Annotated[str, Field(min_length=1, max_length=2048)]
CellValue: TypeAlias = Annotated[str, Field(max_length=500_000)] | bool | int | float | None

RESERVED_PREFIX = "_mirsal_"
_OF_ALL = frozenset({"operation", "spreadsheet_id", "sheet", "time_zone", "credential_id"})
_OF_ROWS = frozenset({"values", "types", "on_unavailable", "patience_seconds", "backfill"})
_MEMBERS: Mapping[Operation, frozenset[str]] = {
    "append": _OF_ROWS,
    "upsert": _OF_ROWS | {"key_column"},
    "update": frozenset({"values", "types", "key_column"}),
    "read": frozenset({"range", "limit"}),
    "lookup": frozenset({"key_column", "key_value", "limit"}),
    "clear": frozenset({"range"}),
    "create_tab": frozenset({"columns", "types"}),
}
_NEEDED: Mapping[Operation, tuple[str, ...]] = {
    "append": ("values",),
    "upsert": ("values", "key_column"),
    "update": ("values", "key_column"),
    "lookup": ("key_column", "key_value"),
}


class GoogleSheetsConfig(NodeConfig):
    """Work on the rows of one tab, whose first row is its header.

    `append` adds a row; `update` changes the row whose `keyColumn` holds `values[keyColumn]`,
    and `upsert` adds it where there is none; `lookup` gives the rows whose `keyColumn` holds
    `keyValue`, `read` those of `range` (`A2:C10`; all without it); `clear` empties `range`, or all
    rows below the header; `create_tab` makes the tab with `columns`.

    `types` says how a column's texts are read; without it a text stays a text. `timeZone` is the
    zone of times (default: the lead's). When the sheet cannot take a row for longer than
    `patienceSeconds`, or is full, the row goes to BigQuery, and back to the sheet later unless
    `backfill` is false; when it was deleted or is no longer shared, `onUnavailable` says whether
    it goes there too, or waits for a person. `credentialId` names the account (type `google`).
    """

    operation: Operation
    spreadsheet_id: Text
    sheet: Text
    values: Annotated[dict[ColumnName, CellValue], Field(max_length=1000)] | None = None
    key_column: ColumnName | None = None
    key_value: CellValue = None
    range: Text | None = None
    columns: Annotated[tuple[ColumnName, ...], Field(max_length=1000)] = ()
    types: Annotated[dict[ColumnName, CellType], Field(max_length=1000)] = Field(
        default_factory=dict
    )
    time_zone: Annotated[str, Field(max_length=2048)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    on_unavailable: Literal["fallback", "park"] = "park"
    patience_seconds: Annotated[float, Field(ge=0, le=600)] = 60.0
    backfill: bool = True
    credential_id: CredentialId | None = None

    @model_validator(mode="after")
    def _fits_its_operation(self) -> "GoogleSheetsConfig":
        for name in _NEEDED.get(self.operation, ()):
            if getattr(self, name) in (None, {}, ""):
                raise ValueError(f"{self.operation} needs {_wire(name)}")
        strange = self.model_fields_set - _OF_ALL - _MEMBERS[self.operation]
        # A null is as good as nothing: clients that send every member are let be.
        wrong = sorted(_wire(name) for name in strange if not self._is_default(name))
        if wrong:
            raise ValueError(f"{self.operation} does not take {', '.join(wrong)}")
        return self

    @model_validator(mode="after")
    def _names_its_columns(self) -> "GoogleSheetsConfig":
        names = [*(self.values or ()), *self.columns]
        if any(name.strip().startswith(RESERVED_PREFIX) for name in names):
            raise ValueError(f"columns whose name begins with {RESERVED_PREFIX} are Mirsal's own")
        if len({name.strip() for name in names}) != len(names):
            raise ValueError("two columns have the same name")
        if self.values is not None and self.key_column not in (None, *self.values):
            raise ValueError("values must hold keyColumn")
        strange = sorted(set(self.types) - set(names))
        if strange:
            raise ValueError(f"types names columns that are not written: {', '.join(strange)}")
        return self

    def _is_default(self, name: str) -> bool:
        default = type(self).model_fields[name].get_default(call_default_factory=True)
        return getattr(self, name) in (None, default)


def _wire(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(each.capitalize() for each in tail)
