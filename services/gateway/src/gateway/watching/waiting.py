"""The query parameter `wait`: how long a caller is willing to wait for an answer."""

import re
from typing import Any, Final

from starlette.requests import Request

from gateway.problems import Fault, invalid

PATTERN: Final = r"^([0-9]|[12][0-9]|30)(\.[0-9]{1,3})?s?$"
_WAIT: Final = re.compile(PATTERN)
_MOST_SECONDS: Final = 30.0


def wait_parameter(description: str) -> dict[str, Any]:
    """The parameter as the OpenAPI document has it."""
    return {
        "name": "wait",
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "string", "pattern": PATTERN},
        "example": "10s",
    }


def wait_of(request: Request) -> float | None:
    """The seconds that the caller is willing to wait. Raises a 422 `Problem`."""
    given = request.query_params.get("wait")
    if given is None:
        return None
    if _WAIT.fullmatch(given) is None:
        raise invalid(
            [Fault("is a time in seconds such as 10s or 10, at most 30s", parameter="wait")]
        )
    return min(float(given.removesuffix("s")), _MOST_SECONDS)
