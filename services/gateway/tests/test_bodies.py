"""Bodies: what counts as JSON, and where a fault is said to be."""

import orjson
import pytest
from gateway.bodies import JSON_DEPTH, Json, fit, parse
from gateway.leads.schemas import LeadDraft
from gateway.problems import Problem
from gateway.runs.schemas import StartRun
from gateway.workflows.schemas import WorkflowDraft
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel


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
