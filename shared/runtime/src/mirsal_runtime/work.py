"""A command as the worker holds it, and how a record becomes one. Pure."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from asyncpg.pgproto.pgproto import UUID
from mirsal_contracts.commands import RunNode
from pydantic import ValidationError

from mirsal_runtime.ledger import LedgerKey
from mirsal_runtime.telemetry import faults_of
from mirsal_runtime.vault.personal import LeadKey
from mirsal_runtime.watermarks import Watermark

MAX_TIMEOUT_SECONDS = 3600.0
_MAX_INTEGER = 2**31 - 1
_YEARS = range(2000, 2200)
_TOKENS = itertools.count(1)


class Unreadable(Exception):
    """A record is no command for this connector. `reason` is stable, the text says more."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Headers(NamedTuple):
    """The two headers that a worker looks at for each record."""

    type: str
    traceparent: str


@dataclass(slots=True, eq=False)
class Work:
    """One command, from its record until its offset may be committed."""

    command: RunNode
    key: LedgerKey
    traceparent: str
    offset: int
    watermark: Watermark
    token: int = field(default_factory=_TOKENS.__next__)
    dropped: bool = False
    """Its partition was taken away, or the process ends: it must not begin any more."""
    asked: bool = False
    """The ledger was asked for the claim and may have given it; nothing was begun yet."""
    context: str = ""
    """The trace context of the attempt that was made, for what is told of it."""
    seal: LeadKey | None = None
    """The key that its config was sealed with; what is told of the attempt is sealed too."""
    order: bytes | None = None
    """Commands with the same are served one after the other; None: in any order."""

    @property
    def reply_context(self) -> str:
        """What its status, and its rows of the ledger, belong to."""
        return self.context or self.traceparent

    @property
    def account(self) -> str:
        """Whose share of the pool it takes."""
        return self.command.workspace


def read_command(connector: str, value: bytes | None, headers: Headers) -> RunNode:
    """The command in a record's value. Raises `Unreadable`."""
    if not value:
        raise Unreadable("empty", "the record has no value")
    if headers.type and headers.type != RunNode.TYPE:
        raise Unreadable("wrong_type", f"the record is of type {headers.type!r}")
    try:
        command = RunNode.model_validate_json(value)
    except ValidationError as error:
        raise Unreadable("invalid", faults_of(error)) from error
    if command.connector != connector:
        raise Unreadable("wrong_connector", f"the command is for {command.connector!r}")
    return command


def key_of(command: RunNode) -> LedgerKey:
    """The command's row of the ledger. Raises `Unreadable` for what no row could hold."""
    try:
        run_id = UUID(command.run_id)
    except ValueError as error:
        raise Unreadable("invalid", "runId is not a UUID") from error
    fits = (
        0 <= command.iteration <= _MAX_INTEGER
        and command.attempt <= _MAX_INTEGER
        and "\0" not in command.node_id
        and 0 < command.timeout_seconds <= MAX_TIMEOUT_SECONDS
        and command.deadline.year in _YEARS
        and command.deadline.tzinfo is not None
    )
    if not fits:
        raise Unreadable(
            "invalid", "iteration, attempt, nodeId, timeoutSeconds or deadline is out of range"
        )
    return LedgerKey(run_id, command.node_id, command.iteration)


def read_headers(headers: Iterable[tuple[str, bytes | None]]) -> Headers:
    """Type and trace context; broken UTF-8 is replaced."""
    kind = traceparent = b""
    for name, value in headers:
        if name == "traceparent":
            traceparent = value or b""
        elif name == "ce_type":
            kind = value or b""
    return Headers(kind.decode("utf-8", "replace"), traceparent.decode("utf-8", "replace"))
