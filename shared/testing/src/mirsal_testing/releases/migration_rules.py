"""What a migration may not do while the release before it still runs; pure.

Expand first, contract a release later: a migration that has to break a rule says in a line
`-- contract: <why nobody needs it any more>` that the time for it has come.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALLOWED = re.compile(r"^-- contract: \S.{9,}$", re.MULTILINE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_TEXT = re.compile(r"'(?:[^']|'')*'")
_NEW_TABLE = re.compile(r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?([\w.\"]+)", re.IGNORECASE)
_ALTERED = re.compile(
    r"\b(?:ALTER\s+TABLE|INDEX\s+\w+\s+ON)\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?([\w.\"]+)",
    re.IGNORECASE,
)
_NEW_COLUMN = re.compile(r"\bADD\s+COLUMN\b(?:(?!\bADD\b).)*", re.IGNORECASE | re.DOTALL)
_NOT_NULL = re.compile(r"\bNOT\s+NULL\b", re.IGNORECASE)
_FILLED = re.compile(r"\bDEFAULT\b|\bGENERATED\b", re.IGNORECASE)
_RULES = {
    "drops what the release before may use": re.compile(
        r"\bDROP\s+(TABLE|COLUMN|VIEW|SCHEMA|ROLE|FUNCTION|TYPE|SEQUENCE|DEFAULT|EXPRESSION)\b"
        r"|\bop\.(drop|rename|alter)_",
        re.IGNORECASE,
    ),
    "renames what the release before knows by its name": re.compile(
        r"\bRENAME\b|\bSET\s+SCHEMA\b", re.IGNORECASE
    ),
    "changes a column's type": re.compile(
        r"\bALTER\s+(COLUMN\s+)?[\w\"]+\s+(SET\s+DATA\s+)?TYPE\b", re.IGNORECASE
    ),
    "takes away a right": re.compile(r"\bREVOKE\b", re.IGNORECASE),
    "empties a table": re.compile(r"\bTRUNCATE\b|\bDELETE\s+FROM\s+[\w.\"]+\s*;", re.IGNORECASE),
}
_NARROWS = {
    "wants a value that the release before does not write": re.compile(
        r"\bSET\s+NOT\s+NULL\b", re.IGNORECASE
    ),
    "forbids rows that the release before may write": re.compile(
        r"\bADD\s+(CONSTRAINT\s+\w+\s+)?(CHECK|UNIQUE|FOREIGN|EXCLUDE|PRIMARY)\b"
        r"|\bCREATE\s+UNIQUE\s+INDEX\b",
        re.IGNORECASE,
    ),
}  # fmt: skip


def broken_rules(sql: str) -> list[str]:
    """What the release before would stumble over; empty too for a migration that says why."""
    if _ALLOWED.search(sql):
        return []
    code = _TEXT.sub("''", _COMMENT.sub(" ", sql))
    return [fault for statement in code.split(";") for fault in _faults_of(f"{statement};", code)]


def _faults_of(statement: str, code: str) -> Iterator[str]:
    said = " ".join(statement.split())[:80]
    for what, rule in _RULES.items():
        if rule.search(statement):
            yield f"{what}: {said}"
    altered = _ALTERED.search(statement)
    if altered and altered[1] in _NEW_TABLE.findall(code):
        # Its own table: nobody knows it yet.
        return
    for what, rule in _NARROWS.items():
        if rule.search(statement):
            yield f"{what}: {said}"
    for column in _NEW_COLUMN.findall(statement):
        if _NOT_NULL.search(column) and not _FILLED.search(column):
            yield f"wants a value that the release before does not write: {said}"
