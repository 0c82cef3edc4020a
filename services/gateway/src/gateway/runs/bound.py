"""How many runs a workspace may have under way: what PostgreSQL counts, and what was started here
and has no row yet. Nothing that starts a run."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, NamedTuple

from mirsal_runtime import metrics

from gateway.issued_ids import FRESH_SECONDS
from gateway.problems import Problem
from gateway.recent import Recent
from gateway.runs.store import UnderWay

EVERY: Final = "*"
LOOK_SECONDS: Final = 1.0
LOOK_REST: Final = 20
"""A look rests so many times as long as it took: where many runs are under way it costs a
twentieth of a core, and what has ended counts the longer."""
HELD_SECONDS: Final = 10.0
"""A place is held so long for a start that comes to nothing: a call is answered earlier."""


class Place(NamedTuple):
    """One run's place until its row shows more than `revision`, 0 for a new run. `is_kept`: Kafka
    has what asks for it, whatever becomes of a repeat."""

    revision: int
    until: float
    is_kept: bool = False


class RunBound:
    """Gives places to runs that are to be started, no more than `most` says for a workspace or, as
    `*`, for each that is not named. `look` is given the ids that have a place; `clock` gives
    seconds since some moment."""

    def __init__(
        self,
        most: Mapping[str, int],
        look: Callable[[Iterable[str]], Awaitable[UnderWay]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._most = most
        self._look = look
        self._counts: Mapping[str, int] = {}
        self._places: dict[str, dict[str, Place]] = {}
        self._recent = Recent(self._learn, seconds=LOOK_SECONDS, rest=LOOK_REST)

    def covers(self, workspace: str) -> bool:
        """Whether the workspace has a bound; all else may be left out for one that has none."""
        return workspace in self._most or EVERY in self._most

    async def refuse(
        self, workspace: str, runs: Mapping[str, int], *, is_repeat: bool = False
    ) -> Problem | None:
        """None once each of the runs, of these revisions, has a place; or else why none has.

        Of a repeated call a run needs none that has a row: the others may never have come to Kafka.

        Raises `DatabaseUnavailable`.
        """
        if not self.covers(workspace):
            return None
        if is_repeat:
            runs = await self._without_rows(workspace, runs)
            if not runs:
                return None
        room = await self._find_room(workspace)
        places = self._places.setdefault(workspace, {})
        wanted = len(runs.keys() - places.keys())
        if wanted > room:
            metrics.RUNS_REFUSED.labels(workspace).inc(wanted)
            return self._say_full(workspace, wanted, room)
        until = self._clock() + HELD_SECONDS
        for run_id, revision in runs.items():
            held = places.get(run_id, Place(revision, until))
            places[run_id] = held._replace(revision=revision, until=max(until, held.until))
        return None

    async def take(self, workspace: str, run_ids: Iterable[str]) -> int:
        """Give places to as many new runs as can have one; how many of the first have one now.

        Raises `DatabaseUnavailable`.
        """
        room = await self._find_room(workspace)
        places = self._places.setdefault(workspace, {})
        until = self._clock() + HELD_SECONDS
        taken = 0
        for run_id in run_ids:
            if run_id not in places:
                if room <= 0:
                    break
                room -= 1
            places.setdefault(run_id, Place(0, until))
            taken += 1
        return taken

    def keep(self, workspace: str, run_ids: Iterable[str]) -> None:
        """Kafka has the starts: their places last until their rows show, as long as ids are new."""
        if not self.covers(workspace):
            return
        until = self._clock() + FRESH_SECONDS
        places = self._places.setdefault(workspace, {})
        for run_id in run_ids:
            # One that took longer than a place is held has a new one, whatever room there is.
            place = places.get(run_id, Place(0, until))
            places[run_id] = place._replace(until=until, is_kept=True)

    def give_back(self, workspace: str, run_ids: Iterable[str]) -> None:
        """The starts came to nothing, as far as anybody knows, but for those that Kafka has from
        an earlier call."""
        places = self._places.get(workspace, {})
        for run_id in run_ids:
            place = places.get(run_id)
            if place is not None and not place.is_kept:
                del places[run_id]

    async def _without_rows(self, workspace: str, runs: Mapping[str, int]) -> Mapping[str, int]:
        """Those that have neither a place here nor a row."""
        lacking = runs.keys() - self._places.get(workspace, {}).keys()
        if not lacking:
            return {}
        seen = (await self._look(lacking)).revisions
        return {each: revision for each, revision in runs.items() if each in lacking - seen.keys()}

    async def _find_room(self, workspace: str) -> int:
        await self._recent.get()
        return self._most_of(workspace) - self._count(workspace)

    async def _learn(self) -> None:
        """Count anew, and let go of the places whose runs are counted by now."""
        asked = {run_id: place for each in self._places.values() for run_id, place in each.items()}
        seen = await self._look(asked)
        now = self._clock()
        self._counts = seen.counts
        for workspace, places in list(self._places.items()):
            kept = {
                run_id: place
                for run_id, place in places.items()
                if place.until > now and seen.revisions.get(run_id, 0) <= place.revision
            }
            self._places[workspace] = kept
            if not kept:
                del self._places[workspace]

    def _most_of(self, workspace: str) -> int:
        most = self._most.get(workspace)
        return self._most[EVERY] if most is None else most

    def _count(self, workspace: str) -> int:
        return self._counts.get(workspace, 0) + len(self._places.get(workspace, ()))

    def _say_full(self, workspace: str, wanted: int, room: int) -> Problem:
        most = self._most_of(workspace)
        if wanted > most:
            return Problem(
                422,
                "too-many-runs",
                "Too many runs at a time",
                f"These are {wanted} runs, and this workspace may have {most} under way: start "
                "fewer at a time, or many as a job.",
            )
        detail = f"This workspace has {most - room} runs under way, and may have {most}."
        if wanted > 1:
            detail += f" These are {wanted} more."
        return Problem(
            429,
            "too-many-runs",
            "Too many runs under way",
            detail,
            headers={"Retry-After": "1"},
            members={"retryAfter": 1},
        )
