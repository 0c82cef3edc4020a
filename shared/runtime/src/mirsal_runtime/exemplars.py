"""How many observations carry an exemplar: a scrape shows one a series, and each costs."""

import time

PER_SECOND = 20


class Exemplars:
    """Lets so many through each second."""

    def __init__(self) -> None:
        self._second = 0
        self._given = 0

    def wants_more(self) -> bool:
        """Whether another one is worth its cost."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._given = second, 0
        self._given += 1
        return self._given <= PER_SECOND
