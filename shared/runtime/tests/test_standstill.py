"""A process that reads is ready however much waits; one before which records lie is not."""

from collections.abc import Callable

import pytest
from mirsal_runtime import metrics
from mirsal_runtime.standstill import SEEN_SECONDS, STANDSTILL_SECONDS, Standstill

TOPIC = "a.topic.of.this.test.v1"


class Scene:
    """A clock that others move, and what the process measures."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lag = metrics.CONSUMER_LAG.labels(TOPIC)
        self.read = metrics.RECORDS_READ.labels(TOPIC)
        self.check = Standstill([TOPIC], clock=lambda: self.now)

    async def ask(self, seconds: float, *, each: Callable[[], object] = lambda: None) -> list[str]:
        """What is said over so many seconds, asked every five."""
        said = []
        for _ in range(round(seconds / 5)):
            self.now += 5
            each()
            said.append(await self.check() or "")
        return [words for words in said if words]


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_records_that_nobody_reads_make_it_unready_until_one_is_read(scene: Scene) -> None:
    scene.lag.set(7)
    metrics.CONSUMER_LAG.labels("of.another.v1").set(9)
    assert await scene.ask(STANDSTILL_SECONDS) == []
    said = await scene.ask(20)
    assert said[-1] == f"7 records wait, and for {STANDSTILL_SECONDS + 15:.0f} s none was read"
    scene.read.inc()
    assert await scene.ask(5) == []


async def test_who_reads_or_has_nothing_to_read_is_ready(scene: Scene) -> None:
    scene.lag.set(100_000)
    assert await scene.ask(3 * STANDSTILL_SECONDS, each=scene.read.inc) == []
    scene.lag.set(0)
    assert await scene.ask(3 * STANDSTILL_SECONDS) == []


async def test_nothing_is_said_of_a_time_in_which_nobody_asked(scene: Scene) -> None:
    scene.lag.set(7)
    assert await scene.ask(5) == []
    scene.now += STANDSTILL_SECONDS + SEEN_SECONDS
    assert await scene.check() is None
