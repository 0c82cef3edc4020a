"""Lets schemathesis write NDJSON bodies."""

from typing import Any

import orjson
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def write_lines(_context: Any, value: Any) -> Any:
    """The schema says that it is text; what is not is sent as JSON, to be refused."""
    return value.encode() if isinstance(value, str) else orjson.dumps(value, default=repr)
