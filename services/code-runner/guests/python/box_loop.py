"""asyncio without sockets: a loop whose only events are timers and what is ready."""

import asyncio
import asyncio.base_events
import asyncio.events
import time


class _Sleeper:
    """Stands where a selector would: nothing ever comes from outside."""

    def select(self, timeout: float | None) -> list:
        if timeout is None:
            raise RuntimeError("the code waits for something that nothing in it will bring about")
        if timeout > 0:
            time.sleep(timeout)
        return []


class BoxLoop(asyncio.base_events.BaseEventLoop):
    """An event loop for one thread and no files."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Sleeper()

    def _process_events(self, event_list: list) -> None:
        """Nothing comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody else could wake the loop."""


def install() -> None:
    """Have `asyncio.run` and its like use this loop."""
    asyncio.events.new_event_loop = BoxLoop
    asyncio.new_event_loop = BoxLoop
    asyncio.runners.events.new_event_loop = BoxLoop
