"""The errors of the Sheets API, with Google's texts and in Google's JSON shape."""

from __future__ import annotations

STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
MAX_CELLS = 10_000_000
MAX_CELL_CHARACTERS = 50_000
MAX_BODY_BYTES = 10_485_760
MAX_SHEETS = 200

SERVICE = "sheets.googleapis.com"
DEFAULT_MESSAGES = {
    401: "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
    "cookie or other valid authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project.",
    403: "The caller does not have permission",
    404: "Requested entity was not found.",
    408: "Deadline exceeded.",
    500: "Internal error encountered.",
    502: "Bad gateway.",
    503: "The service is currently unavailable.",
    504: "Deadline exceeded.",
}


class GoogleError(Exception):
    """An answer that is an error: its HTTP code, text and Google's details."""

    def __init__(
        self,
        code: int,
        message: str | None = None,
        *,
        status: str | None = None,
        details: list[dict[str, object]] | None = None,
    ) -> None:
        self.code = code
        self.message = message or DEFAULT_MESSAGES.get(code, "Request failed.")
        self.status = status or STATUS_NAMES.get(code, "UNKNOWN")
        self.details = details or []
        super().__init__(f"{code} {self.status}: {self.message}")

    def body(self) -> dict[str, object]:
        error: dict[str, object] = {
            "code": self.code,
            "message": self.message,
            "status": self.status,
        }
        if self.details:
            error["details"] = self.details
        return {"error": error}


def invalid(message: str) -> GoogleError:
    return GoogleError(400, message)


def unknown_field(name: str, place: str = "") -> GoogleError:
    """What Google's JSON reader says of a member that its schema has not."""
    where = f" at '{place}'" if place else ""
    text = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
    violation: dict[str, object] = {"description": text}
    if place:
        violation["field"] = place
    return GoogleError(
        400,
        text,
        details=[
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
        ],
    )


def unparsable_range(text: str) -> GoogleError:
    return invalid(f"Unable to parse range: {text}")


def beyond_grid(range_text: str, rows: int, columns: int) -> GoogleError:
    return invalid(
        f"Range ({range_text}) exceeds grid limits. Max rows: {rows}, max columns: {columns}"
    )


def beyond_range(range_text: str, part: str, name: str) -> GoogleError:
    """`part` is row or column."""
    return invalid(
        f"Requested writing within range [{range_text}], but tried writing to {part} [{name}]"
    )


def too_many_cells() -> GoogleError:
    return invalid(
        "This action would increase the number of cells in the workbook above the limit of "
        f"{MAX_CELLS} cells."
    )


def too_long_cell() -> GoogleError:
    return invalid(
        f"Your input contains more than the maximum of {MAX_CELL_CHARACTERS} characters in a "
        "single cell."
    )


def too_large_body() -> GoogleError:
    return invalid(f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes.")


def in_request(index: int, kind: str, error: GoogleError) -> GoogleError:
    """An error of one request of a batchUpdate, named as Google names it."""
    return GoogleError(error.code, f"Invalid requests[{index}].{kind}: {error.message}")


def no_identity() -> GoogleError:
    return GoogleError(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API.",
    )


def bad_credentials(method: str) -> GoogleError:
    return GoogleError(
        401,
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_EXPIRED",
                "domain": "googleapis.com",
                "metadata": {"service": SERVICE, "method": method},
            }
        ],
    )


def quota_exceeded(kind: str, limit_value: int, *, per_user: bool, project: str) -> GoogleError:
    """A 429 as Google sends it. `kind` is read or write, `limit_value` calls a minute."""
    name = kind.capitalize()
    scope = "User" if per_user else "Project"
    limit_text = f"{name} requests per minute" + (" per user" if per_user else "")
    unit = "1/min/{project}/{user}" if per_user else "1/min/{project}"
    return GoogleError(
        429,
        f"Quota exceeded for quota metric '{name} requests' and limit '{limit_text}' of service "
        f"'{SERVICE}' for consumer 'project_number:{project}'.",
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "RATE_LIMIT_EXCEEDED",
                "domain": "googleapis.com",
                "metadata": {
                    "quota_limit": f"{name}RequestsPerMinutePer{scope}",
                    "quota_limit_value": str(limit_value),
                    "quota_location": "global",
                    "quota_metric": f"{SERVICE}/{kind}_requests",
                    "quota_unit": unit,
                    "consumer": f"projects/{project}",
                    "service": SERVICE,
                },
            },
            {
                "@type": "type.googleapis.com/google.rpc.Help",
                "links": [
                    {
                        "description": "Request a higher quota limit.",
                        "url": "https://cloud.google.com/docs/quotas/help/request_increase",
                    }
                ],
            },
        ],
    )
