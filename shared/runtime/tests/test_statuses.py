"""Statuses: what every end of an attempt says, and that every message can carry it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirsal_contracts.message import Envelope, JsonObject
from mirsal_contracts.statuses import NODE_STATUS, NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_runtime.broker import MAX_MESSAGE_BYTES, size_of
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from mirsal_runtime.statuses import (
    MAX_STATUS_BYTES,
    Ending,
    expire,
    fail,
    remembered,
    status_message,
    succeed,
)
from mirsal_testing.commands import make_command, next_attempt
from mirsal_testing.lead_keys import KeyCabinet
from pydantic import BaseModel, Field

NOW = datetime.now(UTC)
COMMAND = make_command(config={"value": 1}, node_id="send-1")


class Result(BaseModel):
    """A connector's result."""

    text: str = ""
    things: list[Any] = []


def read(ending: Ending) -> NodeSucceeded | NodeFailed | NodeUnconfirmed:
    return NODE_STATUS.validate_json(ending.status)


def read_fault(ending: Ending) -> NodeFailed | NodeUnconfirmed:
    status = read(ending)
    assert not isinstance(status, NodeSucceeded)
    return status


def test_success_carries_the_command_s_ids_and_the_output() -> None:
    ending = succeed(COMMAND, Result(text="أحمد"), NOW, repeatable=False)
    status = read(ending)
    assert isinstance(status, NodeSucceeded)
    assert status.output == {"text": "أحمد", "things": []}
    for name in ("workspace", "run_id", "execution_id", "command_id", "workflow_id", "node_id"):
        assert getattr(status, name) == getattr(COMMAND, name)
    assert (status.attempt, status.started_at, ending.state) == (1, NOW, "succeeded")
    assert status.ended_at >= NOW


@pytest.mark.parametrize(
    ("failure", "kind", "retry_after"),
    [
        (RetryableError("c", "m", retry_after=3.0), "transient", 3.0),
        (RetryableError("c", "m"), "transient", None),
        (ThrottledError("c", "m", retry_after=9.0), "throttled", 9.0),
        (ActionRequired("c", "m"), "action_required", None),
        (PermanentError("c", "m", details={"provider": 131026}), "permanent", None),
    ],
)
def test_each_failure_says_its_remedy(
    failure: AttemptFailure, kind: str, retry_after: float | None
) -> None:
    ending = fail(COMMAND, failure, NOW)
    status = read(ending)
    assert isinstance(status, NodeFailed)
    assert (status.kind, status.retry_after_seconds) == (kind, retry_after)
    assert (status.error.code, status.error.message) == ("c", "m")
    assert status.error.details == failure.details
    assert (ending.state, ending.label) == ("failed", kind)


def test_unknown_outcome_and_expiry_have_their_own_words() -> None:
    unknown = fail(COMMAND, OutcomeUnknown("lost", "m"), NOW)
    assert isinstance(read(unknown), NodeUnconfirmed)
    assert unknown.state == "unconfirmed"
    late = read(expire(COMMAND, NOW))
    assert isinstance(late, NodeFailed)
    assert (late.kind, late.error.code) == ("expired", "expired")


@pytest.mark.parametrize(
    "result",
    [Result(text="x" * (MAX_STATUS_BYTES + 1)), Result(text="\ud800"), Result(things=[object()])],
    ids=["too large", "half a character", "no JSON"],
)
def test_output_that_no_message_can_carry(result: Result) -> None:
    kept = succeed(COMMAND, result, NOW, repeatable=False)
    status = read(kept)
    assert isinstance(status, NodeSucceeded)
    assert status.output["leftOut"] in ("output_too_large", "output_not_json")
    refused = read(succeed(COMMAND, result, NOW, repeatable=True))
    assert isinstance(refused, NodeFailed)
    assert (refused.kind, refused.error.code) == ("permanent", status.output["leftOut"])


@pytest.mark.parametrize(
    "details",
    [{"text": "x" * 100_000}, {"text": "\ud800"}],
    ids=["too large", "half a character"],
)
def test_details_that_no_message_can_carry_are_left_out(details: JsonObject) -> None:
    failure = PermanentError("c\ud800", "m\ud800" * 10_000, details=details)
    ending = fail(COMMAND, failure, NOW)
    status = read_fault(ending)
    assert status.error.details is not None
    assert set(status.error.details) == {"leftOut"}
    assert len(ending.status) < 70_000


def test_nul_becomes_the_replacement_character() -> None:
    result = Result(text="a\0b \\u0000", things=[{"k\0": ["\0"]}])
    status = read(succeed(COMMAND, result, NOW, repeatable=False))
    assert isinstance(status, NodeSucceeded)
    assert status.output == {"text": "a\ufffdb \\u0000", "things": [{"k\ufffd": ["\ufffd"]}]}
    assert read_fault(fail(COMMAND, PermanentError("c", "a\0"), NOW)).error.message == "a\ufffd"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=10,
)


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts_in([*value, *value.values()])
    elif isinstance(value, list):
        yield from chain.from_iterable(map(texts_in, value))


@given(json_values)
def test_every_result_makes_a_status_that_postgres_and_kafka_take(value: Any) -> None:
    ending = succeed(COMMAND, Result(things=[value]), NOW, repeatable=False)
    assert isinstance(read(ending), NodeSucceeded)
    assert "\0" not in "".join(texts_in(orjson.loads(ending.status)))
    message = status_message(COMMAND, "succeeded", ending.status, source="/w", traceparent="")
    assert size_of(message) < MAX_MESSAGE_BYTES


def test_message_goes_under_the_run_with_the_command_s_trace() -> None:
    ending = succeed(COMMAND, Result(), NOW, repeatable=False)
    message = status_message(
        COMMAND, ending.state, ending.status, source="/noop-worker", traceparent="00-a-b-01"
    )
    envelope = Envelope.from_headers(message.headers)
    assert (message.topic, message.key) == ("node.statuses.v1", COMMAND.run_id)
    assert (envelope.type, envelope.id) == ("mirsal.node.succeeded.v1", COMMAND.command_id)
    assert (envelope.subject, envelope.traceparent) == (COMMAND.run_id, "00-a-b-01")
    assert (envelope.source, envelope.connector) == ("/noop-worker", "noop")
    assert envelope.execution_id == COMMAND.execution_id


def test_remembered_outcome_is_told_as_it_was() -> None:
    first = succeed(COMMAND, Result(text="once"), NOW, repeatable=False)
    again = remembered(COMMAND, "succeeded", first.status, NOW)
    assert (again.state, again.status) == (first.state, first.status)


def test_earlier_attempt_s_success_is_told_as_the_later_one_s() -> None:
    first = succeed(COMMAND, Result(text="once"), NOW, repeatable=False)
    later = next_attempt(COMMAND)
    status = read(remembered(later, "succeeded", first.status, NOW))
    assert isinstance(status, NodeSucceeded)
    assert (status.attempt, status.command_id) == (2, later.command_id)
    assert status.output["text"] == "once"


def test_outcome_that_nobody_was_left_to_write_is_unconfirmed() -> None:
    status = read_fault(remembered(COMMAND, "unconfirmed", None, NOW))
    assert isinstance(status, NodeUnconfirmed)
    assert (status.error.code, status.command_id) == ("worker_gone", COMMAND.command_id)


class Odd(BaseModel):
    """A result with a member that is Mirsal's own."""

    sealed: Any = Field(alias="$sealed", default={"key": "k", "text": "t"})


@pytest.mark.parametrize("is_sealed", [True, False])
async def test_an_output_that_looks_sealed_does_not_go_out(*, is_sealed: bool) -> None:
    key = await KeyCabinet().make("w", "ahmed") if is_sealed else None
    refused = succeed(COMMAND, Odd(), NOW, key, repeatable=True)
    assert (refused.state, read_fault(refused).error.code) == ("failed", "output_reserved")
    happened = read(succeed(COMMAND, Odd(), NOW, key, repeatable=False))
    assert isinstance(happened, NodeSucceeded)
    assert happened.output["leftOut"] == "output_reserved"


def test_details_that_look_sealed_do_not_go_out() -> None:
    failure = PermanentError("c", "m", details={"$sealed": {"key": "k", "text": "t"}})
    assert read_fault(fail(COMMAND, failure, NOW)).error.details == {"leftOut": "reserved"}
