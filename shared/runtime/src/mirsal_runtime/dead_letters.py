"""Records that nobody can read: where they go, and how the execution they were about ends.

Pure. The dead letter holds the record as it was, and headers that say where it was and why.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from mirsal_contracts.message import Envelope
from mirsal_contracts.statuses import Fault, NodeFailed

from mirsal_runtime.broker import MAX_MESSAGE_BYTES, Outgoing, size_of
from mirsal_runtime.statuses import NUL_REPLACEMENT, status_message

UNREADABLE_CODE = "unreadable_command"
_MAX_TEXT = 1000
_MAX_KEY = MAX_MESSAGE_BYTES // 2


class Letter(NamedTuple):
    """A record as it was read; `topic` is the contract's name."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def dead_letter_of(letter: Letter, topic: str, reason: str, text: str) -> Outgoing:
    """The record for the dead-letter topic `topic`. What would not fit is cut short."""
    kept = [(name, value) for name, value in letter.headers if value is not None]
    why = [
        ("dead_letter_reason", reason.encode()),
        ("dead_letter_text", text[:_MAX_TEXT].encode("utf-8", "replace")),
        ("dead_letter_topic", letter.topic.encode()),
        ("dead_letter_partition", str(letter.partition).encode()),
        ("dead_letter_offset", str(letter.offset).encode()),
        ("dead_letter_at", datetime.now(UTC).isoformat().encode()),
    ]
    # Kafka takes no record without both.
    key = b"" if letter.key is None and letter.value is None else letter.key
    if key is not None and len(key) > _MAX_KEY:
        why.append(("dead_letter_whole_key_bytes", str(len(key)).encode()))
        key = key[:_MAX_KEY]
    dead = Outgoing(topic, key, letter.value, [*kept, *why])
    if size_of(dead) <= MAX_MESSAGE_BYTES:
        return dead
    value = letter.value or b""
    whole = [("dead_letter_whole_bytes", str(len(value)).encode())]
    for headers in ([*kept, *why, *whole], [*why, *whole]):
        room = MAX_MESSAGE_BYTES - size_of(Outgoing(topic, key, b"", headers))
        if room >= 0:
            break
    return Outgoing(topic, key, value[: max(room, 0)], headers)


def unreadable_status(letter: Letter, text: str, *, source: str) -> Outgoing | None:
    """The end of the execution that the record was about; None if its headers name none."""
    found = Envelope.from_headers(letter.headers)
    attempt = found.command_id.rpartition(".")[2]
    ids = (found.subject, found.execution_id, found.workflow_id, found.node_id, found.workspace)
    if not all(ids) or not attempt.isascii() or not attempt.isdigit() or len(attempt) > 9:
        return None
    now = datetime.now(UTC)
    status = NodeFailed(
        workspace=_clean(found.workspace),
        run_id=_clean(found.subject),
        execution_id=_clean(found.execution_id),
        command_id=_clean(found.command_id),
        workflow_id=_clean(found.workflow_id),
        node_id=_clean(found.node_id),
        attempt=int(attempt),
        connector=_clean(found.connector),
        started_at=now,
        ended_at=now,
        kind="permanent",
        error=Fault(code=UNREADABLE_CODE, message=f"The command could not be read: {text}"),
    )
    message = status_message(
        status, "failed", status.to_json(), source=source, traceparent=found.traceparent
    )
    return message if size_of(message) <= MAX_MESSAGE_BYTES else None


def _clean(text: str) -> str:
    return text.replace("\0", NUL_REPLACEMENT)
