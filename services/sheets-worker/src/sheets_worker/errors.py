"""What Google's answers mean. One table; nothing here calls Google."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)

CallKind: TypeAlias = Literal["read", "write"]

_Refusal: TypeAlias = type[PermanentError] | type[ActionRequired]

MINUTE = 60.0
MOST_SAID = 300


class Code(StrEnum):
    """The failures of a write to Sheets, as `AttemptFailure.code` names them.

    `fallback` decides by these. In brackets: the kind of failure.
    """

    FULL = "sheets_full"
    """The workbook has as many cells as Google allows (`PermanentError`)."""
    TOO_LARGE = "sheets_too_large"
    """The request, now of this row alone, is larger than Google takes (`PermanentError`)."""
    CELL_TOO_LONG = "cell_too_long"
    """A cell has more than 50,000 characters (`PermanentError`; our own check)."""
    QUOTA = "sheets_quota"
    """Google, or our own count, says later (`ThrottledError`)."""
    UNAVAILABLE = "sheets_unavailable"
    """Google is away or in trouble; surely not written (`RetryableError`)."""
    NO_ANSWER = "sheets_no_answer"
    """Nobody can tell yet whether the row is in the sheet (`OutcomeUnknown`): it must not go
    anywhere else; its next attempt looks first."""
    NOT_FOUND = "sheets_not_found"
    """The spreadsheet is not there, or not shared with us (`ActionRequired`)."""
    NO_PERMISSION = "sheets_no_permission"
    """The spreadsheet, or the tab, is not shared for writing (`ActionRequired`)."""
    CREDENTIALS = "google_credentials"
    """The credentials are missing, wrong or revoked (`ActionRequired`): BigQuery's too."""
    INVALID_HEADER = "invalid_header"
    """The tab's first row is no header that rows could be written under (`ActionRequired`)."""
    INVALID_VALUE = "invalid_value"
    """A value does not fit the type of its column (`PermanentError`; our own check)."""
    NO_TAB = "sheets_no_tab"
    """The tab that was to be read, or a range of it, is not there (`PermanentError`)."""
    REFUSED = "sheets_refused"
    """Google calls the request wrong (`PermanentError`)."""


class Limit(NamedTuple):
    """What a 429 says of a quota: calls a minute, of the whole project or of one user of it."""

    kind: CallKind
    scope: Literal["project", "user"]
    per_minute: int


class UnknownButEnded(OutcomeUnknown):
    """Nobody can tell whether it took effect, but it will not from now on: Google has ended it."""


class Throttled(ThrottledError):
    """Google says later; `limit` is which quota, if it told."""

    limit: Limit | None = None


def failure_of(
    status: int, body: Any, kind: CallKind, *, retry_after: float | None = None
) -> AttemptFailure:
    """What an answer that is no success means.

    `body` is its JSON, or None where it is not Google's.
    """
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    said = _readable(error.get("message")) or f"a bare {status}"
    details: dict[str, Any] = {"httpStatus": status}
    if isinstance(error.get("status"), str):
        details["status"] = error["status"]
    reasons = set(_reasons(error))
    if status == 429 or reasons & _QUOTA_REASONS:
        throttled = Throttled(
            Code.QUOTA, f"Google: {said}", retry_after=retry_after or MINUTE, details=details
        )
        throttled.limit = _limit_of(error)
        return throttled
    if status >= 500 or status == 408:
        return _trouble(status, said, kind, details, is_googles=bool(error))
    if status == 400:
        code, failure = _bad_request(said)
        return failure(code, f"Google: {said}", details=details)
    if status == 413:
        return PermanentError(Code.TOO_LARGE, f"Google: {said}", details=details)
    return _closed(status, said, reasons, details)


def _trouble(
    status: int, said: str, kind: CallKind, details: dict[str, Any], *, is_googles: bool
) -> AttemptFailure:
    if kind == "read":
        return RetryableError(Code.UNAVAILABLE, f"Google is in trouble: {said}", details=details)
    text = f"Google is in trouble, and may have written: {said}"
    # Google's own error comes from what did the work, and that has ended. A deadline, or an
    # answer of something on the way, says nothing of what goes on behind it.
    ended = is_googles and status in (500, 502, 503)
    return (UnknownButEnded if ended else OutcomeUnknown)(Code.NO_ANSWER, text, details=details)


def _bad_request(said: str) -> tuple[Code, _Refusal]:
    for pattern, code, failure in _BAD_REQUESTS:
        if pattern.search(said):
            return code, failure
    return Code.REFUSED, PermanentError


def _closed(status: int, said: str, reasons: set[str], details: dict[str, Any]) -> AttemptFailure:
    if status == 401 or reasons & _ACCOUNT_REASONS:
        return ActionRequired(
            Code.CREDENTIALS, f"Google does not know or trust our account: {said}", details=details
        )
    if status == 403:
        return ActionRequired(
            Code.NO_PERMISSION,
            f"share the spreadsheet with our account, for writing. Google: {said}",
            details=details,
        )
    if status in (404, 410):
        return ActionRequired(
            Code.NOT_FOUND,
            f"the spreadsheet was deleted, or was never shared with us. Google: {said}",
            details=details,
        )
    if status < 400:
        return ActionRequired(
            Code.REFUSED, f"the answer was a bare {status}: check MIRSAL_SHEETS_BASE_URL"
        )
    return PermanentError(Code.REFUSED, f"Google: {said}", details=details)


def _reasons(error: Mapping[str, Any]) -> Iterator[str]:
    for name in ("details", "errors"):
        each_of = error.get(name)
        for detail in each_of if isinstance(each_of, list) else ():
            if isinstance(detail, dict) and isinstance(detail.get("reason"), str):
                yield detail["reason"]


def _limit_of(error: Mapping[str, Any]) -> Limit | None:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        metadata = detail.get("metadata") if isinstance(detail, dict) else None
        if not isinstance(metadata, dict):
            continue
        match = _QUOTA_NAME.match(str(metadata.get("quota_limit", "")))
        value = str(metadata.get("quota_limit_value", ""))
        if match and value.isascii() and value.isdecimal() and 0 < int(value) <= 10_000_000:
            kind: CallKind = "read" if match[1] == "Read" else "write"
            return Limit(kind, "user" if match[2] == "User" else "project", int(value))
    return None


def _readable(text: object) -> str:
    """Google's words, in one short line."""
    return " ".join(text.split())[:MOST_SAID] if isinstance(text, str) else ""


_QUOTA_REASONS = {
    "RATE_LIMIT_EXCEEDED",
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "quotaExceeded",
    "dailyLimitExceeded",
}
_ACCOUNT_REASONS = {
    "SERVICE_DISABLED",
    "accessNotConfigured",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    "CONSUMER_SUSPENDED",
    "CONSUMER_INVALID",
}
_QUOTA_NAME = re.compile(r"(Read|Write)RequestsPerMinutePer(Project|User)")
_BAD_REQUESTS: tuple[tuple[re.Pattern[str], Code, _Refusal], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), code, failure)
    for pattern, code, failure in (
        ("number of cells .*above the limit", Code.FULL, PermanentError),
        ("payload size exceeds|request (is )?too large", Code.TOO_LARGE, PermanentError),
        ("maximum of 50,?000 characters", Code.CELL_TOO_LONG, PermanentError),
        ("unable to parse range|exceeds grid limits", Code.NO_TAB, PermanentError),
        ("protected (cell|range|sheet)", Code.NO_PERMISSION, ActionRequired),
    )
)
