"""Lets schemathesis write NDJSON bodies, and wait for no run that nobody serves."""

import json
import re
from typing import Any

import schemathesis

LONG_WAIT = re.compile(r"\d+(\.\d+)?s?")


@schemathesis.hook
def map_query(_context: Any, query: Any) -> Any:
    """The time to wait is as long as the document allows; a tenth of a second says as much."""
    if isinstance(query, dict) and LONG_WAIT.fullmatch(str(query.get("wait", ""))):
        return {**query, "wait": "0.1s"}
    return query


@schemathesis.serializer("application/x-ndjson")
def write_lines(_context: Any, value: Any) -> Any:
    """The schema says that it is text; what is not is sent as JSON, to be refused."""
    text = value if isinstance(value, str) else json.dumps(value, default=repr)
    return text.encode(errors="replace")
