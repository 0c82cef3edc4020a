"""What BigQuery's answers mean. One table; nothing here calls Google.

A quota's excess is a 403, as a missing permission is: the reason in the body tells them apart.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import requests
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    ThrottledError,
)
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

SHORT_SECONDS = 10.0
LONG_SECONDS = 300.0
MOST_SAID = 300


class BigQueryCode(StrEnum):
    """The failures of BigQuery, as `AttemptFailure.code` names them.

    What passes by itself is a `ThrottledError`, not a `RetryableError`: a row that no place takes
    for now waits without limit, and using up its node's retries would lose it.
    """

    UNAVAILABLE = "bigquery_unavailable"
    """BigQuery is away or in trouble; surely nothing was stored."""
    NO_ANSWER = "bigquery_no_answer"
    """Rows may be stored (`OutcomeUnknown`): sent again under their keys, and nowhere else."""
    RATE = "bigquery_rate"
    """Too fast for now."""
    QUOTA = "bigquery_quota"
    """A quota of the project is used up."""
    NO_PERMISSION = "bigquery_no_permission"
    """Our account may not (`ActionRequired`)."""
    BILLING = "bigquery_billing"
    """The project must be paid for (`ActionRequired`)."""
    CREDENTIALS = "google_credentials"
    """The credentials are missing, wrong or revoked (`ActionRequired`): those of Sheets, too."""
    NOT_FOUND = "bigquery_not_found"
    """The project, dataset or table is not there; what is ours is made (`ActionRequired`)."""
    TOO_LARGE = "bigquery_too_large"
    """The request, now of this row alone, is larger than BigQuery takes (`PermanentError`)."""
    REFUSED = "bigquery_refused"
    """BigQuery calls the request, or the row, wrong (`PermanentError`)."""
    CHANGED = "bigquery_changed"
    """Another has made or changed the table meanwhile: look again."""


class TableMissing(ActionRequired):
    """The table, or its dataset, is not there or not known to streaming yet."""


class TableChanged(ThrottledError):
    """Another process made or changed the table first."""


_Kind: TypeAlias = Literal["rate", "quota", "billing", "permission", "trouble"]

REASONS: Mapping[str, _Kind] = {
    "rateLimitExceeded": "rate",
    "userRateLimitExceeded": "rate",
    "jobRateLimitExceeded": "rate",
    "tableUnavailable": "trouble",
    "backendError": "trouble",
    "internalError": "trouble",
    "badGateway": "trouble",
    "timeout": "trouble",
    "stopped": "trouble",
    "quotaExceeded": "quota",
    "resourcesExceeded": "quota",
    "dailyLimitExceeded": "quota",
    "billingNotEnabled": "billing",
    "billingTierLimitExceeded": "billing",
    "accountDisabled": "billing",
    "accessDenied": "permission",
    "forbidden": "permission",
    "insufficientPermissions": "permission",
    "blocked": "permission",
}
# Said as accessDenied, but no permission would help.
UNPAID = "free tier"


def failure_of(error: GoogleAPICallError, *, stores: bool) -> AttemptFailure:
    """What an answer that is no success means; `stores`: of a call that stores rows."""
    status = int(error.code or 0)
    said = " ".join(str(error.message or "").split())[:MOST_SAID] or f"a bare {status}"
    reason = reason_of(error)
    details: dict[str, Any] = {"httpStatus": status}
    if reason:
        details["reason"] = reason
    kind = REASONS.get(reason)
    if status >= 500 or status == 408:
        return _trouble(said, details, stores=stores)
    if status in (403, 429):
        return _forbidden(kind or ("rate" if status == 429 else "permission"), said, details)
    if status == 404:
        return TableMissing(BigQueryCode.NOT_FOUND, f"BigQuery: {said}", details=details)
    if status in (409, 412):
        return TableChanged(
            BigQueryCode.CHANGED, f"BigQuery: {said}", retry_after=SHORT_SECONDS, details=details
        )
    if status == 401:
        return ActionRequired(
            BigQueryCode.CREDENTIALS,
            f"BigQuery does not trust our account: {said}",
            details=details,
        )
    if status < 400:
        return ActionRequired(
            BigQueryCode.REFUSED, f"the answer was a bare {status}: check MIRSAL_BIGQUERY_BASE_URL"
        )
    code = BigQueryCode.TOO_LARGE if status == 413 else BigQueryCode.REFUSED
    return PermanentError(code, f"BigQuery: {said}", details=details)


def _trouble(said: str, details: dict[str, Any], *, stores: bool) -> AttemptFailure:
    if stores:
        return OutcomeUnknown(
            BigQueryCode.NO_ANSWER, f"BigQuery may have stored the row: {said}", details=details
        )
    return unavailable(said, details)


def _forbidden(kind: _Kind, said: str, details: dict[str, Any]) -> AttemptFailure:
    if kind == "permission" and UNPAID in said:
        kind = "billing"
    match kind:
        case "rate" | "trouble":
            return ThrottledError(
                BigQueryCode.RATE, f"BigQuery: {said}", retry_after=SHORT_SECONDS, details=details
            )
        case "quota":
            return ThrottledError(
                BigQueryCode.QUOTA, f"BigQuery: {said}", retry_after=LONG_SECONDS, details=details
            )
        case "billing":
            return ActionRequired(
                BigQueryCode.BILLING, f"pay for the project. BigQuery: {said}", details=details
            )
        case "permission":
            return ActionRequired(
                BigQueryCode.NO_PERMISSION,
                "give our account the roles BigQuery Data Editor (of the dataset) and Job User. "
                f"BigQuery: {said}",
                details=details,
            )


def reason_of(error: GoogleAPICallError) -> str:
    """The reason in Google's body; empty where the body is not Google's."""
    for each in error.errors or ():
        if isinstance(each, Mapping) and isinstance(each.get("reason"), str):
            return str(each["reason"])
    return ""


def unavailable(said: str, details: dict[str, Any] | None = None) -> ThrottledError:
    """BigQuery takes nothing for now; surely nothing was stored."""
    return ThrottledError(
        BigQueryCode.UNAVAILABLE,
        f"BigQuery is in trouble: {said}",
        retry_after=SHORT_SECONDS,
        details=details,
    )


def no_answer(said: str, *, stores: bool) -> AttemptFailure:
    """A call whose answer did not come."""
    if stores:
        return OutcomeUnknown(BigQueryCode.NO_ANSWER, f"BigQuery was asked to store, {said}")
    return unavailable(said)


def failure_in(error: Exception, *, stores: bool) -> AttemptFailure:
    """What a call without an answer proves. The error's words stay out: they may be secret."""
    name = type(error).__name__
    if isinstance(error, RefreshError) and not error.retryable:
        return ActionRequired(
            BigQueryCode.CREDENTIALS,
            "Google gives our account no token any more: it was revoked, or its key deleted",
        )
    if isinstance(error, RefreshError | TransportError):
        return unavailable(f"Google gave no token: {name}")
    if isinstance(error, GoogleAuthError):
        return ActionRequired(BigQueryCode.CREDENTIALS, f"the credentials cannot be used: {name}")
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY" in str(error):
        return ActionRequired(
            BigQueryCode.CREDENTIALS,
            "the certificate is not trusted: check MIRSAL_BIGQUERY_BASE_URL",
        )
    if _is_unsent(error):
        return unavailable(f"it cannot be reached: {name}")
    return no_answer(f"its answer did not come: {name}", stores=stores)


def _is_unsent(error: Exception) -> bool:
    """Whether no connection was made."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)
