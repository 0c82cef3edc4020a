"""How fast topics fill and empty, by what was measured before. Pure but for the clock."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from mirsal_runtime.depths import Depth

WINDOW_SECONDS: Final = 60.0


class Rates(NamedTuple):
    """Records a second in and out over the last minute or so, and how long, at this pace, until
    nothing waits; None: not known, or never."""

    into: float | None = None
    out: float | None = None
    seconds_to_drain: float | None = None


class Flow:
    """Remembers a minute of measurements."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, Mapping[str, Depth]]] = deque()

    def note(self, depths: Sequence[Depth]) -> Mapping[str, Rates]:
        """The rates of each topic, now that this was measured."""
        now = self._clock()
        # The youngest that is a minute old is kept: who asks seldom has rates all the same.
        while len(self._seen) > 1 and now - self._seen[1][0] >= WINDOW_SECONDS:
            self._seen.popleft()
        before = self._seen[0] if self._seen else None
        self._seen.append((now, {each.topic: each for each in depths}))
        return {each.topic: _rates_of(each, before, now) for each in depths}


def _rates_of(depth: Depth, before: tuple[float, Mapping[str, Depth]] | None, now: float) -> Rates:
    earlier = None if before is None else before[1].get(depth.topic)
    if before is None or earlier is None or now <= before[0]:
        return Rates(seconds_to_drain=None if depth.lag else 0.0)
    seconds = now - before[0]
    # A topic that was made anew begins at 0 again.
    into = max(0.0, (depth.written - earlier.written) / seconds)
    out = max(0.0, (depth.done - earlier.done) / seconds)
    drain = 0.0
    if depth.lag:
        if out <= into:
            return Rates(into, out)
        drain = depth.lag / (out - into)
    return Rates(into, out, drain)
