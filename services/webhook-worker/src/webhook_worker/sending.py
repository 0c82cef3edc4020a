"""Sends what is due: leased, signed, called, and its outcome written."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from mirsal_runtime import metrics
from mirsal_runtime.complaints import Complaint
from mirsal_runtime.outbound import Answer, CallFailed, GuardedClient
from mirsal_runtime.outbound_rules import AddressRefused
from mirsal_runtime.webhook_secrets import SecretSealer, SecretUnreadable

from webhook_worker.message import make_body, make_headers
from webhook_worker.schedule import next_delay, read_retry_after
from webhook_worker.settings import WebhookSettings
from webhook_worker.store import Delivery, Failure, StoreUnavailable, WebhookStore

LONGEST_SLEEP: Final = 0.5
RETRY_SECONDS: Final = 0.5
GONE: Final = 410

log = structlog.get_logger(__name__)


class Sender:
    """Several share the work: what one has leased others leave alone until its lease ends."""

    def __init__(
        self,
        store: WebhookStore,
        client: GuardedClient,
        sealer: SecretSealer,
        settings: WebhookSettings,
    ) -> None:
        self._store = store
        self._client = client
        self._sealer = sealer
        self._settings = settings
        self._disable_after = timedelta(hours=settings.webhook_disable_hours)
        self._calls: set[asyncio.Task[None]] = set()
        self._sooner = asyncio.Event()
        self._is_draining = False
        self._waits = Complaint("webhooks_wait")

    def wake(self) -> None:
        """Something may be due now."""
        self._sooner.set()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        while True:
            self._sooner.clear()
            try:
                leased = await self._send_due()
            except StoreUnavailable as error:
                self._waits.say(error=error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if leased == 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LONGEST_SLEEP):
                        await self._sooner.wait()

    async def drain(self) -> None:
        """Let the calls under way end: none takes longer than a call may."""
        self._is_draining = True
        if self._calls:
            await asyncio.wait(self._calls)

    async def _send_due(self) -> int:
        """Begin calls, as many as there is room for; how many."""
        room = self._settings.webhook_calls - len(self._calls)
        if room == 0:
            return 0
        leased = await self._store.lease(
            room, self._settings.webhook_endpoint_calls, self._settings.lease_seconds
        )
        for delivery in leased:
            task = asyncio.create_task(self._deliver(delivery))
            self._calls.add(task)
            task.add_done_callback(self._end_call)
        return len(leased)

    def _end_call(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._sooner.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("webhook_not_settled", exc_info=task.exception())

    async def _deliver(self, delivery: Delivery) -> None:
        """One attempt. What cannot be written is sent again when the lease has ended."""
        leased_until = time.monotonic() + self._settings.lease_seconds
        begun = time.monotonic()
        try:
            answer = await self._call(delivery)
            failure = self._judge(delivery, answer)
        except (AddressRefused, CallFailed) as error:
            answer, failure = None, self._fail(delivery, None, str(error), begun)
        except SecretUnreadable as error:
            self._waits.say(error=error, endpoint_id=delivery.endpoint_id)
            failed = self._fail(delivery, None, "its secret cannot be read here", begun)
            answer, failure = None, failed._replace(blames=False)
        while True:
            try:
                return await self._note(delivery, answer, failure)
            except StoreUnavailable as error:
                # Leases that nobody ends keep all that its endpoint is to be sent waiting.
                if self._is_draining or time.monotonic() > leased_until:
                    return None
                self._waits.say(error=error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _note(
        self, delivery: Delivery, answer: Answer | None, failure: Failure | None
    ) -> None:
        """Write what became of an attempt."""
        if failure is None and answer is not None:
            milliseconds = int(answer.seconds * 1000)
            await self._store.note_delivered(delivery, answer.status, milliseconds)
            _count("delivered", delivery)
        elif failure is not None:
            await self._note_failed(delivery, failure)

    async def _call(self, delivery: Delivery) -> Answer:
        sealed = [delivery.secret, delivery.previous_secret]
        owner = (delivery.workspace, delivery.endpoint_id)
        secrets = [await self._sealer.open(each, *owner) for each in sealed if each is not None]
        body = make_body(delivery)
        headers = make_headers(delivery, secrets, body, int(time.time()))
        return await self._client.post(delivery.url, body, headers)

    def _judge(self, delivery: Delivery, answer: Answer) -> Failure | None:
        """Any 2xx is a success; a redirect is none."""
        if 200 <= answer.status < 300:
            return None
        retry_after = read_retry_after(answer.retry_after, datetime.now(UTC))
        begun = time.monotonic() - answer.seconds
        reason = f"answered {answer.status}"
        return self._fail(delivery, answer.status, reason, begun, retry_after)

    def _fail(
        self,
        delivery: Delivery,
        status: int | None,
        reason: str,
        begun: float,
        retry_after: timedelta | None = None,
    ) -> Failure:
        tries = delivery.attempts - delivery.attempts_before
        delay = next_delay(tries, self._settings.webhook_retry_seconds, retry_after)
        milliseconds = int((time.monotonic() - begun) * 1000)
        return Failure(status, reason, delay, milliseconds, disables=status == GONE)

    async def _note_failed(self, delivery: Delivery, failure: Failure) -> None:
        is_disabled = await self._store.note_failed(delivery, failure, self._disable_after)
        _count("dead" if failure.delay is None else "failed", delivery)
        if is_disabled:
            log.warning(
                "webhook_disabled",
                endpoint_id=delivery.endpoint_id,
                workspace=delivery.workspace,
                http_status=failure.status,
            )


def _count(outcome: str, delivery: Delivery) -> None:
    metrics.WEBHOOKS.labels(outcome, metrics.WORKSPACE(delivery.workspace)).inc()
