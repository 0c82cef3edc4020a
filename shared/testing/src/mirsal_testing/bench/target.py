"""What can be measured: Mirsal itself, or the bare pipeline, behind one face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class BenchError(Exception):
    """The measurement is worthless: the text says what was lost, doubled or refused."""


class Target(Protocol):
    """Something that takes a POST a run and comes to an end with each."""

    @property
    def name(self) -> str:
        """As the table shows it."""

    @property
    def only_scenario(self) -> str:
        """The one scenario that is measured; empty for all."""

    @property
    def url(self) -> str:
        """Where to POST."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What each POST carries."""

    @property
    def body(self) -> str:
        """What each POST says; the lead's place is `load.LEAD_PLACE`."""

    @property
    def leads(self) -> int:
        """How many leads there are to start runs for."""

    def platform(self) -> Mapping[str, int]:
        """The processes that do the work, servers too, by name."""

    def beside(self) -> Mapping[str, int]:
        """The simulators' processes, by name."""

    async def mark(self) -> None:
        """Forget the runs so far."""

    async def count_ended(self) -> int:
        """How many runs came to their end since the mark; cheap, since it is asked often."""

    async def read_ends(self) -> Mapping[str, float]:
        """When each run came to its end, by run id, in seconds of the wall clock.

        Raises `BenchError` where a message came twice.
        """


def read_message_ends(calls: list[tuple[float, str]]) -> dict[str, float]:
    """The arrival of each run's second message; a call's text begins with step and run id.

    Raises `BenchError` where a message came twice.
    """
    seen: dict[tuple[str, str], float] = {}
    for arrived, text in calls:
        step, run_id, _ = text.split(" ", 2)
        if (step, run_id) in seen:
            raise BenchError(f"message {step} of run {run_id} came twice")
        seen[step, run_id] = arrived
    return {run_id: arrived for (step, run_id), arrived in seen.items() if step == "2"}
