"""The way into Kafka: nothing is accepted unless it was acknowledged, and nobody waits in vain."""

import asyncio
from collections.abc import Sequence

import structlog
from mirsal_runtime.batching import Batcher
from mirsal_runtime.broker import BrokerUnavailable, Outgoing, Publisher
from mirsal_runtime.health import Check, gather_reasons

PROBE_PAUSE_SECONDS = 0.5
PROBE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Intake:
    """Publishes, and refuses at once while the broker is known to be away.

    After a failure only a probe of its own (`check`: None when Kafka answers) asks the broker,
    twice a second, until it answers; requests meanwhile fail without a wait.
    """

    def __init__(self, publisher: Publisher, check: Check) -> None:
        self._publisher = publisher
        self._check = check
        self._singles: Batcher[Outgoing, None] = Batcher(self._send_singles, parallel=2)
        self._watch: asyncio.Task[None] | None = None

    async def publish(self, messages: Sequence[Outgoing], *, until: float) -> None:
        """Returns once Kafka has acknowledged all.

        Raises `BrokerUnavailable` at the event loop's time `until` at the latest; some of the
        messages may have been written then.
        """
        if self._watch is not None:
            raise BrokerUnavailable("Kafka did not answer lately")
        try:
            async with asyncio.timeout_at(until):
                if len(messages) == 1:
                    await self._singles.submit(messages[0])
                else:
                    await self._publisher.send(messages)
        except TimeoutError as error:
            self._begin_watch()
            raise BrokerUnavailable("Kafka did not acknowledge in time") from error
        except BrokerUnavailable:
            self._begin_watch()
            raise

    async def stop(self) -> None:
        """End the probe and close the producer, within a few seconds."""
        if self._watch is not None:
            self._watch.cancel()
        await self._publisher.stop()

    async def _send_singles(self, messages: Sequence[Outgoing]) -> Sequence[None]:
        await self._publisher.send(messages)
        return [None] * len(messages)

    def _begin_watch(self) -> None:
        if self._watch is None:
            log.warning("broker_away")
            self._watch = asyncio.create_task(self._wait_for_broker())

    async def _wait_for_broker(self) -> None:
        checks = {"kafka": self._check}
        while await gather_reasons(checks, seconds=PROBE_SECONDS):  # noqa: ASYNC110 - asks anew
            await asyncio.sleep(PROBE_PAUSE_SECONDS)
        log.info("broker_back")
        self._watch = None
