"""The errors of the BigQuery API and their body, after Google's page "Error messages".

An excess of a quota is a 403 with a reason, not a 429: only the reason tells it from a missing
permission.
"""

from __future__ import annotations

STATUS_OF_REASON: dict[str, int] = {
    "accessDenied": 403,
    "backendError": 503,
    "billingNotEnabled": 403,
    "blocked": 403,
    "conditionNotMet": 412,
    "duplicate": 409,
    "internalError": 500,
    "invalid": 400,
    "notFound": 404,
    "quotaExceeded": 403,
    "rateLimitExceeded": 403,
    "requestTooLarge": 413,
    "required": 400,
    "responseTooLarge": 403,
    "unauthorized": 401,
}

MESSAGES: dict[str, str] = {
    "accessDenied": "Access Denied: Table {table}: Permission bigquery.tables.updateData denied on "
    "table {table} (or it may not exist).",
    "backendError": "Error encountered during execution. Retrying may solve the problem.",
    "billingNotEnabled": "Billing has not been enabled for this project. Enable billing at "
    "https://console.cloud.google.com/billing.",
    "internalError": "An internal error occurred and the request could not be completed.",
    "quotaExceeded": "Quota exceeded: Your project exceeded quota for streaming bytes. For more "
    "information, see https://cloud.google.com/bigquery/docs/troubleshoot-quotas",
    "rateLimitExceeded": "Exceeded rate limits: too many table update operations for this table. "
    "For more information, see https://cloud.google.com/bigquery/docs/troubleshoot-quotas",
    "requestTooLarge": "Request payload size exceeds the limit: 10485760 bytes.",
    "unauthorized": "Request had invalid authentication credentials. Expected OAuth 2 access "
    "token, login cookie or other valid authentication credential.",
}

STATUS_NAMES: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
USAGE_REASONS = frozenset({"quotaExceeded", "rateLimitExceeded"})


class GoogleError(Exception):
    """One refusal, as Google words it. What is not given comes from the tables above."""

    def __init__(
        self,
        reason: str,
        message: str | None = None,
        *,
        status: int | None = None,
        table: str = "",
    ) -> None:
        self.reason = reason
        self.status = status or STATUS_OF_REASON.get(reason, 400)
        known = MESSAGES.get(reason, "Simulated error").format(table=table)
        self.message = known if message is None else message
        super().__init__(f"{reason}: {self.message}")

    def body(self) -> dict[str, object]:
        domain = "usageLimits" if self.reason in USAGE_REASONS else "global"
        error: dict[str, object] = {
            "code": self.status,
            "message": self.message,
            "errors": [{"message": self.message, "domain": domain, "reason": self.reason}],
        }
        if self.status in STATUS_NAMES:
            error["status"] = STATUS_NAMES[self.status]
        return {"error": error}


def invalid(message: str) -> GoogleError:
    return GoogleError("invalid", message)


def no_such_table(table: str) -> GoogleError:
    return GoogleError("notFound", f"Not found: Table {table}")
