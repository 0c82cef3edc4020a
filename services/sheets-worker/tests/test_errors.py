"""What Google's answers mean: each kind pinned."""

from typing import Any

import pytest
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from sheets_worker.errors import (
    CallKind,
    Code,
    Limit,
    Throttled,
    UnknownButEnded,
    failure_of,
)


def error(message: str, status: str = "INVALID_ARGUMENT", **more: Any) -> dict[str, Any]:
    return {"error": {"code": 0, "message": message, "status": status, **more}}


FULL = (
    "This action would increase the number of cells in the workbook above the limit of 10000000 "
    "cells."
)
TOO_LARGE = "Request payload size exceeds the limit: 10485760 bytes."
TOO_LONG = "Your input contains more than the maximum of 50000 characters in a single cell."
NO_ROOM = "Range ('Leads'!A2:A) exceeds grid limits. Max rows: 1, max columns: 3"
DISABLED = [{"reason": "SERVICE_DISABLED"}]
RATE = [{"reason": "userRateLimitExceeded"}]
STRANGE = ["y", {"reason": 7}, {"metadata": "z"}]
REQUESTS: list[tuple[int, Any, type[AttemptFailure], Code]] = [
    (400, error(FULL), PermanentError, Code.FULL),
    (400, error(f"Invalid requests[0].addSheet: {FULL}"), PermanentError, Code.FULL),
    (400, error(TOO_LARGE), PermanentError, Code.TOO_LARGE),
    (413, None, PermanentError, Code.TOO_LARGE),
    (400, error(TOO_LONG), PermanentError, Code.CELL_TOO_LONG),
    (400, error("Unable to parse range: 'Leads'!1:1"), PermanentError, Code.NO_TAB),
    (400, error(NO_ROOM), PermanentError, Code.NO_TAB),
    (400, error("You edit a protected cell or object."), ActionRequired, Code.NO_PERMISSION),
    (400, error("Invalid value at 'data.values'"), PermanentError, Code.REFUSED),
    (400, None, PermanentError, Code.REFUSED),
    (401, error("No", "UNAUTHENTICATED"), ActionRequired, Code.CREDENTIALS),
    (403, error("No", "PERMISSION_DENIED"), ActionRequired, Code.NO_PERMISSION),
    (403, error("Not used before", details=DISABLED), ActionRequired, Code.CREDENTIALS),
    (403, error("Rate Limit", errors=RATE), ThrottledError, Code.QUOTA),
    (404, error("Not found.", "NOT_FOUND"), ActionRequired, Code.NOT_FOUND),
    (429, None, ThrottledError, Code.QUOTA),
    (302, None, ActionRequired, Code.REFUSED),
    (418, None, PermanentError, Code.REFUSED),
    (400, [], PermanentError, Code.REFUSED),
    (400, {"error": "text"}, PermanentError, Code.REFUSED),
    (400, error("x", details=STRANGE), PermanentError, Code.REFUSED),
]


@pytest.mark.parametrize("kind", ["read", "write"])
@pytest.mark.parametrize(("status", "body", "failure", "code"), REQUESTS)
def test_answers_that_prove_that_nothing_happened(
    status: int, body: Any, failure: type[AttemptFailure], code: Code, kind: CallKind
) -> None:
    found = failure_of(status, body, kind)
    assert isinstance(found, failure)
    assert found.code == code


@pytest.mark.parametrize(
    ("status", "body", "ended"),
    [
        (500, error("Internal error encountered.", "INTERNAL"), True),
        (503, error("The service is currently unavailable.", "UNAVAILABLE"), True),
        (502, None, False),
        (500, None, False),
        (504, error("Deadline exceeded.", "DEADLINE_EXCEEDED"), False),
        (408, None, False),
    ],
)
def test_trouble_leaves_a_write_open_and_a_read_to_be_repeated(
    status: int, body: Any, ended: bool
) -> None:
    write = failure_of(status, body, "write")
    assert isinstance(write, OutcomeUnknown)
    assert isinstance(write, UnknownButEnded) is ended
    assert write.code == Code.NO_ANSWER
    read = failure_of(status, body, "read")
    assert isinstance(read, RetryableError)
    assert read.code == Code.UNAVAILABLE


def quota(name: str, value: object) -> dict[str, Any]:
    metadata = {"quota_limit": name, "quota_limit_value": value}
    details = [{"reason": "RATE_LIMIT_EXCEEDED", "metadata": metadata}]
    return error("Quota exceeded", "RESOURCE_EXHAUSTED", details=details)


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("WriteRequestsPerMinutePerUser", "60", Limit("write", "user", 60)),
        ("ReadRequestsPerMinutePerProject", "8000", Limit("read", "project", 8000)),
        ("WriteRequestsPerMinutePerUser", 60, Limit("write", "user", 60)),
        ("WriteRequestsPerMinutePerUser", "0", None),
        ("WriteRequestsPerMinutePerUser", "-1", None),
        ("WriteRequestsPerMinutePerUser", "٦٠", None),
        ("Another", "60", None),
    ],
)
def test_limits_are_learned_from_what_google_says(
    name: str, value: object, limit: Limit | None
) -> None:
    found = failure_of(429, quota(name, value), "write")
    assert isinstance(found, Throttled)
    assert found.limit == limit
    assert found.retry_after == 60


def test_googles_words_stay_short() -> None:
    assert len(failure_of(400, error("x" * 10_000), "write").message) < 400
