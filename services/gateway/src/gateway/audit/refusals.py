"""Which refused calls the audit log tells of: the first of a kind in a minute, with how many there
were since the one before. No I/O."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.audit.entries import Action, Entry, Origin

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

EVERY_SECONDS: Final = 60.0
MOST_KINDS: Final = 1_000


class _Kind(NamedTuple):
    until: float
    left_out: int


class Refusals:
    """Remembers what was told of. A caller who is refused again and again fills no log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str, str], _Kind] = {}

    def describe(self, origin: Origin, route: str) -> Entry | None:
        """The entry for a refused call of a route, or None where it is left out."""
        now, kind = self._clock(), (origin.workspace, origin.actor_id, route)
        told = self._told.get(kind)
        if told is not None and now < told.until:
            self._told[kind] = told._replace(left_out=told.left_out + 1)
            return None
        if told is None and len(self._told) >= MOST_KINDS:
            self._told = {each: last for each, last in self._told.items() if now < last.until}
            if len(self._told) >= MOST_KINDS:
                return None
        self._told[kind] = _Kind(now + EVERY_SECONDS, 0)
        before: JsonObject | None = {"leftOut": told.left_out} if told and told.left_out else None
        return Entry(origin, Action.ACCESS_REFUSED, route, after=before)
