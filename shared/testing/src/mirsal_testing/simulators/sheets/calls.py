"""Which method of the API a request is: its path read as Google reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = "/v4/spreadsheets"
TOKEN_PATH = "/token"  # noqa: S105 - a path

_ANSWER_OPTIONS = frozenset(
    {"includeValuesInResponse", "responseValueRenderOption", "responseDateTimeRenderOption"}
)
_READ_OPTIONS = frozenset({"majorDimension", "valueRenderOption", "dateTimeRenderOption"})
_SYSTEM_OPTIONS = frozenset(
    {"alt", "fields", "key", "prettyPrint", "quotaUser", "$.xgafv", "access_token"}
)


@dataclass(frozen=True, slots=True)
class Method:
    """`options` are the query parameters that it knows; `name` is what rules and records say."""

    name: str
    kind: Literal["read", "write", "token"]
    google_name: str = ""
    options: frozenset[str] = frozenset()


def _google(name: str) -> str:
    return f"google.apps.sheets.v4.SpreadsheetsService.{name}"


TOKEN = Method("token", "token")
CREATE = Method("spreadsheets.create", "write", _google("CreateSpreadsheet"))
GET = Method(
    "spreadsheets.get", "read", _google("GetSpreadsheet"),
    frozenset({"ranges", "includeGridData", "excludeTablesInBandedRanges"}),
)  # fmt: skip
BATCH_UPDATE = Method("spreadsheets.batchUpdate", "write", _google("BatchUpdateSpreadsheet"))
VALUES_GET = Method("values.get", "read", _google("GetValues"), _READ_OPTIONS)
VALUES_BATCH_GET = Method(
    "values.batchGet", "read", _google("BatchGetValues"), _READ_OPTIONS | {"ranges"}
)
VALUES_UPDATE = Method(
    "values.update", "write", _google("UpdateValues"), _ANSWER_OPTIONS | {"valueInputOption"}
)
VALUES_APPEND = Method(
    "values.append", "write", _google("AppendValues"),
    _ANSWER_OPTIONS | {"valueInputOption", "insertDataOption"},
)  # fmt: skip
VALUES_CLEAR = Method("values.clear", "write", _google("ClearValues"))
VALUES_BATCH_UPDATE = Method("values.batchUpdate", "write", _google("BatchUpdateValues"))
VALUES_BATCH_CLEAR = Method("values.batchClear", "write", _google("BatchClearValues"))

METHODS: Mapping[str, Method] = {
    each.name: each
    for each in (
        TOKEN, CREATE, GET, BATCH_UPDATE, VALUES_GET, VALUES_BATCH_GET, VALUES_UPDATE,
        VALUES_APPEND, VALUES_CLEAR, VALUES_BATCH_UPDATE, VALUES_BATCH_CLEAR,
    )
}  # fmt: skip

_ON_SPREADSHEET = {("GET", ""): GET, ("POST", "batchUpdate"): BATCH_UPDATE}
_ON_VALUES = {
    ("GET", "batchGet"): VALUES_BATCH_GET,
    ("POST", "batchUpdate"): VALUES_BATCH_UPDATE,
    ("POST", "batchClear"): VALUES_BATCH_CLEAR,
}
_ON_RANGE = {
    ("GET", ""): VALUES_GET,
    ("PUT", ""): VALUES_UPDATE,
    ("POST", "append"): VALUES_APPEND,
    ("POST", "clear"): VALUES_CLEAR,
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names; `range` is the A1 text in it."""

    method: Method
    spreadsheet_id: str = ""
    range: str = ""


def find_target(verb: str, raw_path: str) -> Target | None:
    """From the path as it was sent, still percent-encoded. None: Google has no such page."""
    if raw_path == TOKEN_PATH:
        return Target(TOKEN) if verb == "POST" else None
    if raw_path == ROOT:
        return Target(CREATE) if verb == "POST" else None
    if not raw_path.startswith(ROOT + "/"):
        return None
    spreadsheet, slash, rest = raw_path[len(ROOT) + 1 :].partition("/")
    if not slash:
        spreadsheet_id, _, action = spreadsheet.partition(":")
        method = _ON_SPREADSHEET.get((verb, action))
        return Target(method, unquote(spreadsheet_id)) if method else None
    if rest.startswith("values:"):
        method = _ON_VALUES.get((verb, rest.removeprefix("values:")))
        return Target(method, unquote(spreadsheet)) if method else None
    if not rest.startswith("values/"):
        return None
    cells = rest.removeprefix("values/")
    # A range has colons of its own; what follows the last one may be the action.
    before, colon, action = cells.rpartition(":")
    if colon and ("POST", action) in _ON_RANGE:
        cells = before
    else:
        action = ""
    method = _ON_RANGE.get((verb, action))
    return Target(method, unquote(spreadsheet), unquote(cells)) if method else None


def unknown_option(method: Method, names: Mapping[str, str]) -> str | None:
    """The first query parameter that Google would refuse."""
    for name in names:
        if name not in method.options and name not in _SYSTEM_OPTIONS:
            return name
    return None
