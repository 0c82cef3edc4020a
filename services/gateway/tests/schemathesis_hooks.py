"""Lets schemathesis write NDJSON bodies."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def write_lines(_context: Any, value: Any) -> Any:
    """The schema says that it is text; what is not is sent as JSON, to be refused."""
    text = value if isinstance(value, str) else json.dumps(value, default=repr)
    return text.encode(errors="replace")
