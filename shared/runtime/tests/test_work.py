"""Which records are commands for this connector, and where the others go."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirsal_contracts.message import Envelope
from mirsal_contracts.statuses import NODE_STATUS, NodeFailed
from mirsal_runtime.broker import MAX_MESSAGE_BYTES, size_of
from mirsal_runtime.dead_letters import Letter, dead_letter_of, unreadable_status
from mirsal_runtime.work import Headers, Unreadable, key_of, read_command, read_headers
from mirsal_testing.commands import command_message, make_command

COMMAND = make_command(config={"value": 1})
VALUE = COMMAND.to_json()
HEADERS = Headers("mirsal.node.run.v1", "")


def changed(**members: Any) -> bytes:
    return orjson.dumps(orjson.loads(VALUE) | members)


def test_command_is_read() -> None:
    assert read_command("noop", VALUE, HEADERS) == COMMAND
    assert str(key_of(COMMAND).run_id) == COMMAND.run_id


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (None, HEADERS, "empty"),
        (b"", HEADERS, "empty"),
        (b"{", HEADERS, "invalid"),
        (b"\xff\xfe", HEADERS, "invalid"),
        (b"[]", HEADERS, "invalid"),
        (changed(attempt="many"), HEADERS, "invalid"),
        (changed(attempt=0), HEADERS, "invalid"),
        (VALUE, Headers("mirsal.node.run.v2", ""), "wrong_type"),
        (changed(connector="email"), HEADERS, "wrong_connector"),
    ],
)
def test_other_records_are_unreadable(value: bytes | None, headers: Headers, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_command("noop", value, headers)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "members",
    [
        {"runId": "not-a-uuid"},
        {"nodeId": "a\0b"},
        {"iteration": -1},
        {"iteration": 2**31},
        {"attempt": 2**31},
        {"timeoutSeconds": 0},
        {"timeoutSeconds": "NaN"},
        {"timeoutSeconds": "Infinity"},
        {"deadline": "0001-01-01T00:00:00Z"},
        {"deadline": "2026-01-01T00:00:00"},
    ],
)
def test_what_no_row_of_the_ledger_could_hold_is_unreadable(members: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        key_of(read_command("noop", changed(**members), HEADERS))


def test_reason_never_shows_the_value() -> None:
    value = changed(attempt={"email": "ahmed@example.com"})
    with pytest.raises(Unreadable) as caught:
        read_command("noop", value, HEADERS)
    assert "attempt" in str(caught.value)
    assert "ahmed" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_unreadable(value: bytes) -> None:
    with pytest.raises(Unreadable):
        read_command("noop", value, HEADERS)


def test_headers_are_read_however_broken() -> None:
    assert read_headers([]) == ("", "")
    broken = [("ce_type", b"\xff"), ("traceparent", None), ("other", b"")]
    assert read_headers(broken) == ("\ufffd", "")


def letter_of(value: bytes | None, **changes: Any) -> Letter:
    message = command_message(COMMAND)
    letter = Letter("node.commands.noop.v1", 3, 42, b"key", value, tuple(message.headers))
    return letter._replace(**changes)


def test_dead_letter_holds_the_record_and_why() -> None:
    letter = letter_of(b"\xff{")
    dead = dead_letter_of(letter, "dead-letters.noop.v1", "invalid", "no JSON")
    assert (dead.topic, dead.key, dead.value) == ("dead-letters.noop.v1", b"key", b"\xff{")
    assert dead.headers[: len(letter.headers)] == list(letter.headers)
    why = dict(dead.headers[len(letter.headers) :])
    assert why["dead_letter_reason"] == b"invalid"
    assert why["dead_letter_topic"] == b"node.commands.noop.v1"
    assert (why["dead_letter_partition"], why["dead_letter_offset"]) == (b"3", b"42")
    assert datetime.fromisoformat(why["dead_letter_at"].decode()) <= datetime.now(UTC)


def test_dead_letter_of_a_record_without_key_and_value_can_be_sent() -> None:
    dead = dead_letter_of(letter_of(None, key=None), "dead-letters.noop.v1", "empty", "")
    assert (dead.key, dead.value) == (b"", None)


@pytest.mark.parametrize(
    "headers", [(), (("huge", b"h" * MAX_MESSAGE_BYTES),), (("\U0001f600" * 524_288, b""),)]
)
def test_dead_letter_that_would_not_fit_is_cut(headers: tuple[tuple[str, bytes], ...]) -> None:
    letter = letter_of(b"x" * MAX_MESSAGE_BYTES, headers=headers)
    dead = dead_letter_of(letter, "dead-letters.noop.v1", "invalid", "too much")
    assert size_of(dead) <= MAX_MESSAGE_BYTES
    assert sum(len(name.encode()) for name, _ in dead.headers) < 10_000
    assert ("dead_letter_whole_bytes", str(MAX_MESSAGE_BYTES).encode()) in dead.headers
    assert len(dead.value or b"") > MAX_MESSAGE_BYTES - 5000


def test_unreadable_command_ends_its_execution_by_its_headers() -> None:
    message = unreadable_status(letter_of(b"{"), "no JSON", source="/noop-worker")
    assert message is not None
    assert message.value is not None
    status = NODE_STATUS.validate_json(message.value)
    assert isinstance(status, NodeFailed)
    assert (status.kind, status.error.code) == ("permanent", "unreadable_command")
    assert (status.execution_id, status.attempt) == (COMMAND.execution_id, 1)
    envelope = Envelope.from_headers(message.headers)
    assert (message.key, envelope.subject) == (COMMAND.run_id, COMMAND.run_id)
    assert envelope.traceparent


@pytest.mark.parametrize("lost", ["ce_subject", "ce_executionid", "ce_commandid", "ce_workspace"])
def test_record_whose_headers_name_no_execution_has_no_status(lost: str) -> None:
    headers = tuple(each for each in letter_of(b"{").headers if each[0] != lost)
    assert unreadable_status(letter_of(b"{", headers=headers), "", source="/w") is None


def test_dead_letter_of_a_record_whose_key_is_all_of_it_can_be_sent() -> None:
    for size in (600_000, MAX_MESSAGE_BYTES - 100):
        letter = letter_of(b"{", key=b"k" * size)
        dead = dead_letter_of(letter, "dead-letters.noop.v1", "invalid", "no JSON")
        assert size_of(dead) <= MAX_MESSAGE_BYTES
        assert dead.value == b"{"
        whole = size < MAX_MESSAGE_BYTES // 2
        assert (dead.key == letter.key) == whole
        assert ("dead_letter_whole_key_bytes" in dict(dead.headers)) == (not whole)


def test_ids_that_no_status_could_carry_have_none() -> None:
    headers = [
        (name, b"x" * 1_200_000 if name == "ce_executionid" else value)
        for name, value in command_message(COMMAND).headers
    ]
    assert unreadable_status(letter_of(b"{", headers=tuple(headers)), "", source="/w") is None
