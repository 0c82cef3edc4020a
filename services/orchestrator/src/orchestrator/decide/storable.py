"""What PostgreSQL and Kafka can take: no U+0000 in JSON, and nothing beyond the size limits."""

from typing import Any

from mirsal_contracts.message import JsonObject
from mirsal_contracts.statuses import Fault
from pydantic_core import to_json

COMMAND_BYTES = 2_000_000
"""Of a command's value; a record takes 2 MiB, and headers need room beside it."""
SEALED_BYTES = 1_400_000
"""Of a config that is to be sealed: Base64 makes a third more of it."""
OUTPUT_BYTES = 512 * 1024
MESSAGE_CHARACTERS = 2_000
REPLACEMENT = "\ufffd"


def write_json(value: object) -> bytes:
    """Any JSON value as text that PostgreSQL reads back: whole numbers of any size, no NaN."""
    return to_json(value, inf_nan_mode="null")


def holds_null_character(value: object, written: bytes) -> bool:
    """Whether a string in `value`, which is `written` as JSON, has U+0000."""
    return b"\\u0000" in written and _find_null(value)


def storable_output(output: JsonObject) -> JsonObject:
    """A connector's result as it can be kept: its effect happened, so it is never refused.

    U+0000 becomes U+FFFD; what is larger than `OUTPUT_BYTES` is left out, and says so.
    """
    written = write_json(output)
    if len(written) > OUTPUT_BYTES:
        return {"omitted": "output_too_large", "bytes": len(written)}
    return _cleaned(output) if b"\\u0000" in written else output


def storable_fault(fault: Fault) -> JsonObject:
    """A failure's reason as it can be kept: `code`, `message`, `outcome`, small `details`."""
    kept: JsonObject = {
        "code": fault.code[:MESSAGE_CHARACTERS],
        "message": fault.message[:MESSAGE_CHARACTERS],
    }
    if fault.outcome is not None:
        kept["outcome"] = fault.outcome[:MESSAGE_CHARACTERS]
    if fault.details is not None:
        kept["details"] = storable_output(fault.details)
    return _cleaned(kept) if b"\\u0000" in write_json(kept) else kept


def _find_null(value: object) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _find_null(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(_find_null(item) for item in value)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", REPLACEMENT)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list | tuple) else value
