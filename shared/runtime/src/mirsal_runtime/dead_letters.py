"""Records that nobody can read: where they go, what they say there, and how their execution ends.

Pure. The dead letter holds the record as it was, and headers that say where it was and why.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from mirsal_contracts.message import Envelope
from mirsal_contracts.statuses import UNREADABLE_COMMAND, Fault, NodeFailed

from mirsal_runtime.broker import MAX_MESSAGE_BYTES, Outgoing, size_of
from mirsal_runtime.statuses import NUL_REPLACEMENT, status_message

_MAX_TEXT = 1000
_MAX_KEY = MAX_MESSAGE_BYTES // 2
_WHY = "dead_letter_"


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


class Found(NamedTuple):
    """A dead letter as it is found in its topic: the record as it was, and why it is there.

    `whole_bytes` is the size of a value that was cut short, and 0 otherwise.
    """

    letter: Letter
    reason: str
    text: str
    died_at: datetime | None
    whole_bytes: int

    @property
    def id(self) -> UUID:
        """The same for every copy: who buries a record may die before its offset is committed."""
        letter = self.letter
        parts = [
            letter.topic.encode(),
            str(letter.partition).encode(),
            str(letter.offset).encode(),
            letter.key or b"",
            letter.value or b"",
            *(part for name, value in letter.headers for part in (name.encode(), value or b"")),
        ]
        digest = hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts))
        return UUID(bytes=digest.digest()[:16], version=5)


def find_letter(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
) -> Found:
    """What `dead_letter_of` wrote. The record's own headers may have such names, but come first."""
    why = {name: found or b"" for name, found in headers if name.startswith(_WHY)}
    texts = {
        name.removeprefix(_WHY): found.decode("utf-8", "replace") for name, found in why.items()
    }
    kept = tuple((name, found) for name, found in headers if not name.startswith(_WHY))
    letter = Letter(
        texts.get("topic", ""),
        _number(texts.get("partition", ""), -1),
        _number(texts.get("offset", ""), -1),
        key,
        value,
        kept,
    )
    try:
        died_at = datetime.fromisoformat(texts.get("at", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        died_at = None
    return Found(
        letter,
        texts.get("reason", "unknown"),
        texts.get("text", ""),
        died_at,
        _number(texts.get("whole_bytes", ""), 0),
    )


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else otherwise


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
        error=Fault(code=UNREADABLE_COMMAND, message=f"The command could not be read: {text}"),
    )
    message = status_message(
        status, "failed", status.to_json(), source=source, traceparent=found.traceparent
    )
    return message if size_of(message) <= MAX_MESSAGE_BYTES else None


def _clean(text: str) -> str:
    return text.replace("\0", NUL_REPLACEMENT)
