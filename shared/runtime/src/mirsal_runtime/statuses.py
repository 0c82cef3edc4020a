"""What became of an attempt, as the message that says so. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import orjson
from mirsal_contracts.commands import RunNode
from mirsal_contracts.leads import ERROR, HIDDEN, OUTPUT, SEALED
from mirsal_contracts.message import Envelope, JsonObject
from mirsal_contracts.statuses import (
    NODE_STATUS,
    FailureKind,
    Fault,
    NodeFailed,
    NodeSucceeded,
    NodeUnconfirmed,
    StatusFields,
)
from mirsal_contracts.topics import NODE_STATUSES_V1
from pydantic import BaseModel, JsonValue
from pydantic_core import PydanticSerializationError

from mirsal_runtime.broker import Outgoing
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from mirsal_runtime.ledger import EndState
from mirsal_runtime.vault.personal import LeadKey

MAX_STATUS_BYTES = 1024 * 1024
MAX_DETAILS_BYTES = 64 * 1024
MAX_TEXT = 4000
NUL_REPLACEMENT = "\ufffd"

_TYPES: Mapping[EndState, str] = {
    "succeeded": NodeSucceeded.TYPE,
    "failed": NodeFailed.TYPE,
    "unconfirmed": NodeUnconfirmed.TYPE,
}
_COMMON = tuple(name for name in StatusFields.model_fields if name in RunNode.model_fields)


class Ending(NamedTuple):
    """An attempt's end. `label` is what metrics and logs call it, `code` the fault's."""

    state: EndState
    status: bytes
    label: str
    code: str = ""


class Named(Protocol):
    """What names an attempt: a command, or a status of it."""

    @property
    def workspace(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def execution_id(self) -> str: ...
    @property
    def command_id(self) -> str: ...
    @property
    def workflow_id(self) -> str: ...
    @property
    def node_id(self) -> str: ...
    @property
    def connector(self) -> str: ...


def succeed(
    command: RunNode,
    result: BaseModel,
    started_at: datetime,
    seal: LeadKey | None = None,
    *,
    repeatable: bool,
) -> Ending:
    """The effect happened; its output goes out sealed if there is a `seal`.

    An output that no message can carry is left out, with a word on it; where the effect may be
    repeated the attempt fails instead, as nothing is lost by it.
    """
    try:
        plain = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        output = plain if seal is None else _hidden(seal, plain, OUTPUT, command)
        status = _without_nul(_succeeded(command, output, started_at))
    except (PydanticSerializationError, ValueError):
        fault = Fault(code="output_not_json", message="The connector's output is not valid JSON.")
    else:
        found = _find_fault(plain, status)
        if found is None:
            return Ending("succeeded", status, "succeeded")
        fault = found
    if repeatable:
        return fail(command, PermanentError(fault.code, fault.message), started_at)
    left_out: JsonObject = {"leftOut": fault.code, "message": fault.message}
    return Ending("succeeded", _succeeded(command, left_out, started_at), "succeeded", fault.code)


def fail(
    command: RunNode,
    failure: AttemptFailure,
    started_at: datetime,
    seal: LeadKey | None = None,
) -> Ending:
    """The effect did not happen, or for `OutcomeUnknown` perhaps did not.

    What the failure says goes out sealed if there is a `seal`, but for its code.
    """
    if isinstance(failure, OutcomeUnknown):
        return _unconfirmed(command, failure, started_at, seal)
    return _failed(command, kind_of(failure), failure, started_at, seal)


def expire(command: RunNode, started_at: datetime) -> Ending:
    """The deadline passed before the attempt began."""
    failure = RetryableError("expired", "The attempt's deadline passed before it began.")
    return _failed(command, "expired", failure, started_at)


def kind_of(failure: AttemptFailure) -> FailureKind:
    """What the status says of a failure that surely had no effect."""
    match failure:
        case ThrottledError():
            return "throttled"
        case ActionRequired():
            return "action_required"
        case PermanentError():
            return "permanent"
        case _:
            return "transient"


def status_message(
    named: Named, state: EndState, status: bytes, *, source: str, traceparent: str
) -> Outgoing:
    """The status as Kafka takes it; its id is the command's, so that a repetition shows."""
    envelope = Envelope(
        id=named.command_id,
        type=_TYPES[state],
        source=source,
        subject=named.run_id,
        workspace=named.workspace,
        traceparent=traceparent,
        execution_id=named.execution_id,
        command_id=named.command_id,
        workflow_id=named.workflow_id,
        node_id=named.node_id,
        connector=named.connector,
    )
    return Outgoing(NODE_STATUSES_V1.name, named.run_id, status, envelope.to_headers())


def remembered(
    command: RunNode, state: EndState, status: bytes | None, started_at: datetime
) -> Ending:
    """A remembered outcome, as the outcome of `command`.

    None stands for the attempt of a process that is gone: nobody can tell. An earlier attempt's
    success is this one's too.
    """
    if status is None:
        failure = OutcomeUnknown(
            "worker_gone", "The process that made the attempt is gone, and left no outcome."
        )
        return fail(command, failure, started_at)
    found = orjson.loads(status)
    if found.get("attempt") != command.attempt:
        found |= {"attempt": command.attempt, "commandId": command.command_id}
        status = orjson.dumps(found)
    return Ending(state, status, "remembered")


def read_status(status: bytes) -> Named:
    """A status message's value. Raises pydantic's `ValidationError`."""
    return NODE_STATUS.validate_json(status)


def _find_fault(output: JsonObject, status: bytes) -> Fault | None:
    """Why an output cannot go out as it is."""
    if SEALED in output:
        # Whoever reads it would take it for what was sealed here.
        message = f"The output has a member {SEALED!r}, which is Mirsal's own."
        return Fault(code="output_reserved", message=message)
    if len(status) > MAX_STATUS_BYTES:
        message = f"The output takes {len(status)} bytes; at most {MAX_STATUS_BYTES} fit."
        return Fault(code="output_too_large", message=message)
    return None


def _succeeded(command: RunNode, output: JsonObject, started_at: datetime) -> bytes:
    return NodeSucceeded(**_fields(command, started_at), output=output).to_json()


def _failed(
    command: RunNode,
    kind: FailureKind,
    failure: AttemptFailure,
    started_at: datetime,
    seal: LeadKey | None = None,
) -> Ending:
    status = NodeFailed(
        **_fields(command, started_at),
        kind=kind,
        error=_sealed_fault(_fault(failure), command, seal),
        retry_after_seconds=getattr(failure, "retry_after", None),
    )
    return Ending("failed", _without_nul(status.to_json()), kind, failure.code)


def _unconfirmed(
    command: RunNode, failure: OutcomeUnknown, started_at: datetime, seal: LeadKey | None
) -> Ending:
    fault = _sealed_fault(_fault(failure), command, seal)
    status = NodeUnconfirmed(**_fields(command, started_at), error=fault)
    return Ending("unconfirmed", _without_nul(status.to_json()), "unconfirmed", failure.code)


def _fields(command: RunNode, started_at: datetime) -> dict[str, Any]:
    """What every status of the attempt says: whose it is, and when it ran."""
    return {
        **{name: getattr(command, name) for name in _COMMON},
        "started_at": started_at,
        "ended_at": datetime.now(UTC),
    }


def _fault(failure: AttemptFailure) -> Fault:
    """The failure's words, short enough for any message and free of half characters."""
    details = failure.details
    if details is not None:
        try:
            if len(orjson.dumps(details)) > MAX_DETAILS_BYTES:
                details = {"leftOut": "too_large"}
        except TypeError:
            details = {"leftOut": "not_json"}
        if SEALED in details:
            details = {"leftOut": "reserved"}
    return Fault(
        code=_whole(failure.code)[:200],
        message=_whole(failure.message)[:MAX_TEXT],
        details=details,
        outcome=failure.outcome if isinstance(failure, PermanentError) else None,
    )


def _sealed_fault(fault: Fault, command: RunNode, seal: LeadKey | None) -> Fault:
    """The fault with its words sealed: a provider's may name whom it refuses."""
    if seal is None:
        return fault
    words: JsonObject = {"message": fault.message}
    if fault.details is not None:
        words["details"] = fault.details
    details = _hidden(seal, words, ERROR, command)
    return fault.model_copy(update={"message": HIDDEN, "details": details})


def _hidden(seal: LeadKey, plain: JsonObject, what: str, command: RunNode) -> JsonObject:
    return seal.hide(_without_nul_in(plain), what, command.execution_id)


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _without_nul(status: bytes) -> bytes:
    """PostgreSQL's JSONB and text hold no U+0000, so none leaves a connector."""
    if b"\\u0000" not in status:
        return status
    return orjson.dumps(_replace_nul(orjson.loads(status)))


def _without_nul_in(plain: JsonObject) -> JsonObject:
    return {name: _replace_nul(value) for name, value in plain.items()}


def _replace_nul(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.replace("\0", NUL_REPLACEMENT)
    if isinstance(value, list):
        return [_replace_nul(item) for item in value]
    if isinstance(value, dict):
        return {
            name.replace("\0", NUL_REPLACEMENT): _replace_nul(item) for name, item in value.items()
        }
    return value
