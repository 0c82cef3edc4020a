"""Bodies: what counts as JSON, and where a fault is said to be."""

import asyncio
from collections.abc import Iterable

import orjson
import pytest
from gateway.bodies import (
    JSON_DEPTH,
    STREAM_BYTES_A_SECOND,
    Json,
    Patience,
    fit,
    parse,
    read_body,
    stream_body,
)
from gateway.leads.schemas import LeadDraft
from gateway.problems import Problem
from gateway.runs.schemas import StartRun
from gateway.workflows.schemas import WorkflowDraft
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.requests import Request
from starlette.types import Message


def faults_of(model: type[BaseModel], raw: bytes) -> list[tuple[str, str]]:
    """Pointer and message of what is wrong; nothing if the body fits."""
    fitted = fit(model, parse(raw))
    if isinstance(fitted, Problem):
        assert fitted.status == 422
        return [(fault.pointer, fault.message) for fault in fitted.faults]
    return []


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "line 1, column 1"),
        (b'{"leadId": }', "line 1, column 12"),
        (b'{"leadId":\n "a"', "line 2, column"),
        (b'{"input": {"n": NaN}}', "line 1, column 17"),
        (b'{"input": {"n": 1e999}}', "line 1, column"),
        (b'{"leadId": "\xff"}', "line 1"),
        (b'"\\ud800"', "line 1"),
        (b"[" * 10_000 + b"]" * 10_000, "line 1"),
    ],
)
def test_what_is_not_json_is_said_to_be_at_its_line_and_column(raw: bytes, message: str) -> None:
    ((pointer, text),) = faults_of(StartRun, raw)
    assert pointer == ""
    assert text.startswith("This is not JSON")
    assert message in text


def test_json_may_nest_so_deep_and_no_deeper() -> None:
    deepest = b'{"a":' * JSON_DEPTH + b"1" + b"}" * JSON_DEPTH
    assert isinstance(parse(deepest), Json)
    deeper = b'{"a":' + deepest + b"}"
    assert isinstance(parse(deeper), Problem)
    wide = b"[" + b"[]," * 500 + b"[]]"
    assert isinstance(parse(wide), Json)


def test_u0000_is_refused_where_it_stands() -> None:
    raw = (
        rb'{"leadId": "a", "input": {"x/y": ["ok", "a\u0000b"], '
        rb'"\\u0000": "\\u0000", "k\u0000": 1}}'
    )
    assert faults_of(StartRun, raw) == [
        ("/input/x~1y/1", "holds U+0000, which cannot be stored"),
        ("/input", "has a member whose name holds U+0000"),
    ]


def test_numbers_beyond_64_bits_become_what_can_be_kept() -> None:
    body = parse(b'{"leadId": "a", "input": {"n": 123456789012345678901234567890}}')
    assert isinstance(body, Json)
    assert orjson.loads(body.canonical)["input"]["n"] == 1.2345678901234568e29


@pytest.mark.parametrize(
    ("model", "raw", "expected"),
    [
        (StartRun, b"[]", [("", "Input should be an object")]),
        (StartRun, b"{}", [("", "give leadId, or leadIds, and not both")]),
        (
            StartRun,
            b'{"leadId":"a","leadIds":["b"]}',
            [("", "give leadId, or leadIds, and not both")],
        ),
        (StartRun, b'{"leadId":1}', [("/leadId", "Input should be a valid string")]),
        (StartRun, b'{"lead_id":"a"}', [("/lead_id", "is not known here")]),
        (StartRun, b'{"leadIds":["a",2]}', [("/leadIds/1", "Input should be a valid string")]),
        (
            LeadDraft,
            b'{"consent":{"email":"yes"}}',
            [("/consent/email", "Input should be a valid boolean")],
        ),
        (LeadDraft, b'{"consent":{"sms":true}}', [("/consent/sms", "is not known here")]),
        (
            LeadDraft,
            b'{"id":"a","createdAt":"x"}',
            [("/createdAt", "is not known here"), ("/id", "is not known here")],
        ),
        (WorkflowDraft, b'{"name":"x","nodes":[{"id":"a"}]}', [("/nodes/0/type", "is required")]),
        (
            WorkflowDraft,
            b'{"name":"x","nodes":[{"id":"a","type":"noop"}],"triggers":[{"type":"schedule","cron":"x"}]}',
            [("/triggers/0/cron", "is not a cron expression: minute hour day month weekday")],
        ),
        (
            WorkflowDraft,
            b'{"name":"x","nodes":[],"triggers":[{"type":"x"},{}]}',
            [
                ("/nodes", "needs 1 or more, and has 0"),
                ("/triggers/0/type", "must be one of 'schedule', 'webhook', 'api', 'event'"),
                ("/triggers/1/type", "is required"),
            ],
        ),
        (
            StartRun,
            b'{"leadIds":[' + b",".join(b'"l%d"' % number for number in range(1001)) + b"]}",
            [("/leadIds", "may have up to 1000, and has 1001")],
        ),
    ],
)
def test_a_fault_is_named_by_its_pointer(
    model: type[BaseModel], raw: bytes, expected: list[tuple[str, str]]
) -> None:
    assert sorted(faults_of(model, raw)) == expected


@given(
    st.dictionaries(st.text(), st.integers(-(2**53), 2**53) | st.text() | st.lists(st.booleans()))
)
def test_bodies_that_mean_the_same_are_the_same(value: dict[str, object]) -> None:
    one = parse(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2))
    other = parse(orjson.dumps(dict(reversed(list(value.items()))), default=str))
    if isinstance(one, Json) and isinstance(other, Json):
        assert one.canonical == other.canonical
    else:
        assert isinstance(one, Problem)
        assert isinstance(other, Problem)


def arriving(chunks: Iterable[bytes], *, pause: float) -> Request:
    """A request whose body comes chunk by chunk, and never ends after the last.

    With a pause below 0 each chunk is there already: nothing waits for it.
    """
    waiting = iter(chunks)

    async def receive() -> Message:
        if pause >= 0:
            await asyncio.sleep(pause)
        return {"type": "http.request", "body": next(waiting, b""), "more_body": True}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def read_on(request: Request, patience: Patience, *, each: float = 0) -> None:
    """Read the stream, and do something with each chunk for so many seconds."""
    async with asyncio.timeout(5):
        async for _ in stream_body(request, limit=2**30, patience=patience):
            await asyncio.sleep(each)


@pytest.mark.parametrize(
    ("pause", "size", "patience"),
    [
        (1.0, 1, Patience(chunk_seconds=0.05)),
        (0.01, 10 * STREAM_BYTES_A_SECOND, Patience(total_seconds=0.1)),
        (0.01, 1, Patience(grace_seconds=0.1)),
    ],
    ids=["nothing comes", "it never ends", "it trickles"],
)
async def test_a_stream_has_its_time(pause: float, size: int, patience: Patience) -> None:
    request = arriving([b"x" * size] * 1_000, pause=pause)
    with pytest.raises(Problem) as refused:
        await read_on(request, patience)
    assert (refused.value.status, refused.value.is_last) == (408, True)


@pytest.mark.parametrize("pause", [0, -1])
async def test_the_time_of_a_stream_counts_what_is_done_with_it(pause: float) -> None:
    request = arriving([b"x" * 10_000] * 1_000, pause=pause)
    with pytest.raises(Problem, match="in time"):
        await read_on(request, Patience(total_seconds=0.1), each=0.02)


async def test_a_stream_that_the_server_keeps_waiting_is_not_slow() -> None:
    request = arriving([b"x"] * 5, pause=0)
    patience = Patience(chunk_seconds=1, grace_seconds=0.1)
    seen = 0
    async for _ in stream_body(request, limit=2**30, patience=patience):
        await asyncio.sleep(0.05)
        if (seen := seen + 1) == 5:
            break
    assert seen == 5


async def test_a_body_is_counted_as_it_comes() -> None:
    with pytest.raises(Problem) as refused:
        await read_body(arriving([b"x" * 60] * 9, pause=0), limit=100)
    assert (refused.value.status, refused.value.is_last) == (413, True)
