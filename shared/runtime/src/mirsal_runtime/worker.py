"""A connector's worker: many attempts in flight, fair between accounts, closing what is done.

It knows no Kafka client: `mirsal_runtime.consumption` hands it the records.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import structlog

from mirsal_runtime import metrics, telemetry
from mirsal_runtime.accounts import Pool
from mirsal_runtime.attempts import log_fault
from mirsal_runtime.dead_letters import Letter, dead_letter_of, unreadable_status
from mirsal_runtime.key_order import KeyOrder
from mirsal_runtime.ledger import Ledger, LedgerKey, Standing
from mirsal_runtime.message_spans import note_receiving
from mirsal_runtime.presence import Presence
from mirsal_runtime.reporting import Outbox
from mirsal_runtime.serving import Course, Server
from mirsal_runtime.set_aside import SetAside
from mirsal_runtime.tasks import cancel
from mirsal_runtime.watermarks import Watermark
from mirsal_runtime.work import Unreadable, Work, key_of, read_command, read_headers

LET_GO_SECONDS = 2.0
CANCEL_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Record(Protocol):
    """A record of Kafka's, as aiokafka gives it."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Office(NamedTuple):
    """What this connector's messages are called: where they come from and go to."""

    connector: str
    source: str
    commands: str
    dead_letters: str
    ordered: bool = False


class Worker:
    """Serves the commands that it accepts, as many at a time as the pool has slots.

    `stop_calls` ends the calls under way. After `dead_letter_limit` unreadable records in a row
    it asks for no more.
    """

    def __init__(
        self,
        office: Office,
        pool: Pool,
        server: Server,
        outbox: Outbox,
        *,
        ledger: Ledger,
        presence: Presence,
        stop_calls: Callable[[], None],
        dead_letter_limit: int,
    ) -> None:
        self._office = office
        self._pool = pool
        self._server = server
        self._outbox = outbox
        self._stop_calls = stop_calls
        self._dead_letter_limit = dead_letter_limit
        self._running: dict[LedgerKey, Work] = {}
        self._tasks: dict[asyncio.Task[None], Watermark] = {}
        self._stopping = False
        self._in_flight = metrics.ATTEMPTS_IN_FLIGHT.labels(office.connector)
        self.aside = SetAside(
            ledger, presence, is_here=self._running.__contains__, conclude=self._conclude
        )
        self._order = KeyOrder()
        self._unreadable_run = 0

    @property
    def tasks(self) -> Collection[asyncio.Task[None]]:
        """What is under way."""
        return list(self._tasks)

    def accept(self, records: Sequence[Record], watermark: Watermark) -> str | None:
        """Take records of one partition, in order. Answers why no more should be read, if so."""
        contexts: list[str] = []
        for record in records:
            if self._unreadable_run >= self._dead_letter_limit:
                return f"{self._unreadable_run} records in a row could not be read"
            watermark.open(record.offset)
            headers = read_headers(record.headers)
            try:
                command = read_command(self._office.connector, record.value, headers)
                key = key_of(command)
            except Unreadable as error:
                self._unreadable_run += 1
                self._spawn(self._bury(record, watermark, error), watermark)
                continue
            self._unreadable_run = 0
            if telemetry.is_recorded(headers.traceparent):
                contexts.append(headers.traceparent)
            work = Work(command, key, headers.traceparent, record.offset, watermark)
            work.order = record.key if self._office.ordered else None
            if self._order.admit(work):
                self._queue(work)
        self._begin()
        if contexts:
            group = self._office.source.removeprefix("/")
            note_receiving(self._office.commands, group, contexts)
        return None

    async def let_go(self, watermarks: Collection[Watermark]) -> None:
        """The partitions are being taken away: drop what has not begun, wait a little."""
        self._order.drop(watermarks)
        for work in (*self._pool.drop(watermarks), *self.aside.drop(watermarks)):
            self._leave(work)
        for work in self._running.values():
            if work.watermark in watermarks:
                work.dropped = True
        tasks = [task for task, watermark in self._tasks.items() if watermark in watermarks]
        if tasks:
            await asyncio.wait(tasks, timeout=LET_GO_SECONDS)

    async def drain(self, seconds: float, last_seconds: float) -> None:
        """Begin nothing more; let what is in flight end, then have it ended, then leave it."""
        self._stopping = True
        everything = {work.watermark for work in self._pool.all_waiting()}
        self._pool.drop(everything)
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)
        self._stop_calls()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=last_seconds)
        left = list(self._tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await cancel(*left)
        log.info("worker_drained", left=len(left))

    def _queue(self, work: Work) -> None:
        comes_back_in = self._pool.put(work, refusable=work.order is None)
        if comes_back_in is not None:
            course = self._server.send_back(work, comes_back_in)
            self._spawn(self._finish(work, course), work.watermark)

    def _begin(self) -> None:
        """Begin what may begin."""
        while not self._stopping and (work := self._pool.take()) is not None:
            if work.key in self._running:
                self._pool.release(work)
                self.aside.add(work)
                continue
            self._running[work.key] = work
            self._spawn(self._run(work), work.watermark)
        self._in_flight.set(self._pool.running)

    async def _run(self, work: Work) -> None:
        try:
            await self._finish(work, self._server.serve(work))
        finally:
            del self._running[work.key]
            self._pool.release(work)
            self.aside.nudge()
            self._begin()

    def _conclude(self, work: Work, standing: Standing) -> None:
        self._spawn(self._finish(work, self._server.follow(work, standing)), work.watermark)

    async def _finish(self, work: Work, course: Awaitable[Course | None]) -> None:
        try:
            ended = await course
        except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the command
            log_fault(error, self._office.connector)
            ended = "held"
        if ended == "done":
            work.watermark.close(work.offset)
        if ended in ("done", "dropped") or work.dropped:
            self._leave(work)
        elif ended == "held":
            self.aside.add(work)
        else:
            self._queue(work)
            self._begin()

    def _leave(self, work: Work) -> None:
        """The next command of the same key may begin."""
        following = self._order.leave(work)
        if following is not None:
            self._queue(following)
            self._begin()

    async def _bury(self, record: Record, watermark: Watermark, error: Unreadable) -> None:
        office = self._office
        letter = Letter(
            office.commands,
            record.partition,
            record.offset,
            record.key,
            record.value,
            tuple(record.headers),
        )
        await self._outbox.send(
            dead_letter_of(letter, office.dead_letters, error.reason, str(error))
        )
        status = unreadable_status(letter, str(error), source=office.source)
        if status is not None:
            await self._outbox.send(status)
        metrics.DEAD_LETTERS.labels(office.commands, error.reason).inc()
        log.warning(
            "dead_letter",
            reason=error.reason,
            topic=office.commands,
            partition=record.partition,
            offset=record.offset,
        )
        watermark.close(record.offset)

    def _spawn(self, work: Coroutine[None, None, None], watermark: Watermark) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = watermark
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log_fault(error, self._office.connector)
