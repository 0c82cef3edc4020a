"""What a box says, believed only as far as it can be checked."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from code_runner.crew import Said
from code_runner.run import failure_of
from code_runner.settings import Allowed
from code_runner.verdict import Outcome, Verdict, depth_exceeds, judge, judge_reply
from mirsal_contracts.commands import RunNode
from mirsal_runtime.statuses import fail

CODE = "a\nb\nc"


@pytest.mark.parametrize(
    ("said", "logs", "outcome"),
    [
        ({"reply": '{"outcome":"ok","result":1}'}, "", "ok"),
        ({"reply": '{"outcome":"ok","result":1}', "overran": True}, "", "timeout"),
        ({"reply": None, "trap": "wasm trap: interrupt", "overran": True}, "", "timeout"),
        ({"overran": True}, "", "timeout"),
        ({"tooLong": True}, "", "output_limit"),
        ({"reply": None, "trap": "call stack exhausted"}, "", "user_error"),
        ({"reply": None, "trap": "unreachable"}, "out of memory", "memory"),
        ({"reply": None, "trap": "unreachable"}, "", "user_error"),
        ({"reply": 7}, "", "user_error"),
        ({}, "", "user_error"),
    ],
)
def test_every_answer_has_an_outcome(said: dict[str, Any], logs: str, outcome: Outcome) -> None:
    assert judge(said, logs, CODE).outcome == outcome


@pytest.mark.parametrize(
    "reply",
    ["", "zz", "[]", "1", "null", "{}", '{"outcome":"paid"}', '{"outcome":["ok"]}', "[" * 99999],
)
def test_a_reply_that_cannot_be_read_is_rejected(reply: str) -> None:
    assert judge_reply(reply, CODE).outcome == "rejected"


def test_only_known_members_of_their_types_are_taken() -> None:
    error = {
        "type": "T" * 999,
        "message": 5,
        "line": 99,
        "column": 4,
        "traceback": ["x"],
        "outcome": "ok",
        "__proto__": 1,
    }
    verdict = judge_reply(json.dumps({"outcome": "user_error", "error": error}), CODE)
    assert verdict == Verdict("user_error", error={"type": "T" * 200, "line": 3})


@pytest.mark.parametrize("line", [0, -1, True, 1.5, "2", None])
def test_a_line_that_is_none_is_left_out(line: object) -> None:
    reply = json.dumps({"outcome": "user_error", "error": {"line": line}})
    assert judge_reply(reply, CODE).error == {}


def test_depth_and_size_are_bounded() -> None:
    nested: Any = 1
    for _ in range(100):
        nested = [nested]
    assert not depth_exceeds(nested, 100)
    assert depth_exceeds([nested], 100)
    assert judge_reply(json.dumps({"outcome": "ok", "result": [nested]}), "").outcome == (
        "output_limit"
    )
    for size, outcome in ((262_142, "ok"), (262_143, "output_limit")):
        reply = json.dumps({"outcome": "ok", "result": "x" * size})
        assert judge_reply(reply, "").outcome == outcome


def test_a_failure_fits_its_status_whatever_the_logs_hold() -> None:
    command = RunNode(
        workspace="w",
        run_id="r",
        execution_id="e",
        command_id="c",
        workflow_id="f",
        node_id="n",
        attempt=1,
        connector="code",
        lead_id="l",
        timeout_seconds=5,
        config={},
        deadline=datetime.now(UTC),
    )
    error: dict[str, Any] = {"type": "E", "message": "m", "traceback": "\x01" * 8000}
    for text in ("\x01" * 65_536, "ش" * 32_768, "x" * 65_536):
        failure = failure_of(
            Verdict("user_error", error=error), Said({}, text, logs_truncated=False), Allowed(1, 1)
        )
        status = json.loads(fail(command, failure, datetime.now(UTC)).status)
        details = status["error"]["details"]
        assert status["error"]["outcome"] == details["outcome"] == "user_error"
        assert details["logs"]
        assert details["logsTruncated"]
