"""Reading the records of the three topics: what they say, or why they cannot be read."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from mirsal_contracts.controls import (
    CancelRun,
    ForgetRun,
    ReplayLetter,
    ResolveExecution,
    RetryRun,
)
from mirsal_contracts.message import Envelope, JsonObject
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import NODE_STATUS, NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_contracts.timers import TimerFired
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1, NODE_STATUSES_V1, RUN_TIMERS_V1
from pydantic import ValidationError

from orchestrator.store.letters import KeptLetter

Control: TypeAlias = CancelRun | RetryRun | ResolveExecution | ReplayLetter | ForgetRun
Incoming: TypeAlias = (
    RunRequested | Control | NodeSucceeded | NodeFailed | NodeUnconfirmed | TimerFired
)

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Record(Protocol):
    """What is read of a record of aiokafka's."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Replay(NamedTuple):
    """Who wants a letter dealt with once more."""

    wish: ReplayLetter
    letter: KeptLetter


class Arrival(NamedTuple):
    """One event of one run. `rank` puts a batch's events in the order that they must be had in.

    `replay` is set for one that comes from the dead letters, `cover` for a request that was sealed
    and is opened now: what of it is stored.
    """

    rank: int
    run_id: str
    message: Incoming
    traceparent: str
    record: Record
    replay: Replay | None = None
    cover: JsonObject | None = None


class Unreadable(NamedTuple):
    """A record that says nothing to us; `request` tells that a run was asked for."""

    record: Record
    reason: str
    is_request: bool

    @property
    def envelope(self) -> Envelope:
        """Whom it was about, by its headers."""
        return Envelope.from_headers(self.record.headers)


class _Kind(NamedTuple):
    rank: int
    read: Callable[[bytes], Incoming]
    types: frozenset[str]


# A run's request comes before its statuses, whatever topic was read first; what a person wants of
# it after those, since they had happened; a timer that fired while an answer was on its way comes
# last, and then often finds nothing to do.
_CONTROLS: Mapping[str, _Kind] = {
    message.TYPE: _Kind(2, message.model_validate_json, frozenset({message.TYPE}))
    for message in (CancelRun, RetryRun, ResolveExecution, ReplayLetter, ForgetRun)
}
KINDS: Mapping[str, _Kind] = {
    EXECUTIONS_REQUESTED_V1.name: _Kind(
        0, RunRequested.model_validate_json, frozenset({RunRequested.TYPE})
    ),
    NODE_STATUSES_V1.name: _Kind(
        1,
        NODE_STATUS.validate_json,
        frozenset({NodeSucceeded.TYPE, NodeFailed.TYPE, NodeUnconfirmed.TYPE}),
    ),
    RUN_TIMERS_V1.name: _Kind(3, TimerFired.model_validate_json, frozenset({TimerFired.TYPE})),
}
TOPICS = tuple(KINDS)


def read_record(record: Record, prefix: str) -> Arrival | Unreadable:
    """What a record says; `prefix` is that of the topics."""
    kind = KINDS[record.topic.removeprefix(prefix)]
    traceparent = type_name = ""
    for name, value in record.headers:
        if name == "traceparent":
            traceparent = (value or b"").decode("ascii", "replace")
        elif name == "ce_type":
            type_name = (value or b"").decode("ascii", "replace")
    if kind.rank == 0:
        kind = _CONTROLS.get(type_name, kind)
    is_request = kind.rank == 0
    if not record.value:
        return Unreadable(record, "no_value", is_request)
    if type_name and type_name not in kind.types:
        return Unreadable(record, "unknown_type", is_request)
    try:
        message = kind.read(record.value)
    except ValidationError as error:
        syntax = any(each["type"] == "json_invalid" for each in error.errors(include_input=False))
        return Unreadable(record, "invalid_json" if syntax else "invalid_message", is_request)
    ids = [message.run_id, getattr(message, "execution_id", None)]
    if not all(each is None or UUID.fullmatch(each) for each in ids):
        return Unreadable(record, "invalid_id", is_request)
    return Arrival(kind.rank, message.run_id, message, traceparent, record)
