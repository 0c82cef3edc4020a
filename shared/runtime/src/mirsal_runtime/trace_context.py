"""W3C trace contexts as texts, and which of them are sampled. Pure but for random numbers."""

import os
import re
from hashlib import blake2b
from typing import Final

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SAMPLED: Final = frozenset("13579bdf")
_ALL: Final = 1 << 64
_bound = _ALL


def set_ratio(ratio: float) -> None:
    """What part of the traces that begin here is sampled, 0 to 1; those that came with a caller's
    context are as the caller said. All services decide alike for the same trace's id."""
    global _bound
    _bound = round(ratio * _ALL)


def new_traceparent() -> str:
    """A new trace, sampled as the ratio says, as a W3C `traceparent`."""
    text = os.urandom(24).hex()
    flags = "01" if _bound == _ALL or int(text[16:32], 16) < _bound else "00"
    return f"00-{text[:32]}-{text[32:]}-{flags}"


def quiet_traceparent() -> str:
    """A new trace that nobody records."""
    text = os.urandom(24).hex()
    return f"00-{text[:32]}-{text[32:]}-00"


def is_traceparent(text: str) -> bool:
    """Whether `text` is a W3C `traceparent` of version 00."""
    return _TRACEPARENT.fullmatch(text) is not None


def child_traceparent(parent: str) -> str:
    """Another span of the same trace; a new trace if `parent` is not a traceparent."""
    if not is_traceparent(parent):
        return new_traceparent()
    return f"{parent[:36]}{os.urandom(8).hex()}{parent[52:]}"


def trace_id_of(traceparent: str) -> str:
    """The trace's id, for log lines and rows; empty if there is none."""
    return traceparent[3:35] if is_traceparent(traceparent) else ""


def is_sampled(traceparent: str) -> bool:
    """Whether spans of this trace are recorded; for contexts of ours, and checked ones."""
    return traceparent[-1:] in _SAMPLED


def sampled(traceparent: str) -> str:
    """The same context, sampled from here on: something happened that people will ask about."""
    return traceparent if is_sampled(traceparent) else f"{traceparent[:53]}01"


def attempt_context(traceparent: str, command_id: str) -> str:
    """The context of the attempt that a command asks for, in the trace of `traceparent`.

    Its span id follows from the command's id, so that a later attempt can link to an earlier one
    without anybody having kept its context.
    """
    return named_context(traceparent, command_id)


def named_context(traceparent: str, name: str) -> str:
    """A context in the trace of `traceparent` whose span id follows from `name`: whoever tells of
    the same thing again says the same id."""
    span_id = blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{traceparent[:36]}{span_id}{traceparent[52:]}"
