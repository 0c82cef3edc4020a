"""Works jobs off: whichever gateway has the lease goes on from where the last one was."""

import asyncio
from typing import Final
from uuid import uuid4

import structlog
from mirsal_contracts.message import JsonObject

from gateway.jobs.step_spans import begin_step, describe_step
from gateway.jobs.store import JobStore
from gateway.jobs.work import Works
from gateway.problems import Problem
from gateway.store import DatabaseUnavailable

LOOK_SECONDS = 1.0
"""A job whose gateway died is taken over this long after its lease at the latest."""
RETRY_SECONDS = 1.0
TURN_SECONDS = 3.0
"""So long one job has its turn before others that wait."""
TIDY_SECONDS = 15.0
UNAVAILABLE: Final = 503
LATE: Final[JsonObject] = {
    "code": "time_limit",
    "message": "the job did not end within its time; what was done stays done",
}
BROKEN: Final[JsonObject] = {
    "code": "internal_error",
    "message": "the job could not go on, which is a fault of Mirsal's; what was done stays done",
}

log = structlog.get_logger(__name__)


class JobRunner:
    """One of a gateway: one job at a time."""

    def __init__(self, store: JobStore, works: Works) -> None:
        self._store = store
        self._works = works
        self._news = asyncio.Event()
        self._tidy_at = 0.0

    def wake(self) -> None:
        """There is a new job: do not wait for the next look."""
        self._news.set()

    async def run(self) -> None:
        """Work jobs off until cancelled; whoever is cancelled leaves its job to the others."""
        while True:
            try:
                found = await self._take_turn()
                await self._tidy()
            except DatabaseUnavailable as error:
                log.warning("jobs_wait", error=error)
                found = False
            except Exception:
                # Whatever it is, the other jobs go on; this one does when its lease is over.
                log.exception("jobs_stumbled")
                found = False
            if not found:
                await self._wait()

    async def _wait(self) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _take_turn(self) -> bool:
        """Work on one job for a while; whether there was one."""
        lease = uuid4()
        job = await self._store.lease(lease)
        if job is None:
            return False
        loop = asyncio.get_running_loop()
        end = loop.time() + TURN_SECONDS
        while True:
            try:
                with begin_step(job) as span:
                    told = job._replace(traceparent=span.traceparent)
                    step = await self._works.of(job.kind).take_step(told)
                    describe_step(span, step)
                if step.waits:
                    await self._store.postpone(job, lease)
                    return True
                has_advanced = await self._store.advance(job, lease, step)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                if isinstance(error, Problem) and error.status == UNAVAILABLE:
                    await asyncio.sleep(RETRY_SECONDS)
                    break
                log.exception("job_failed", job_id=job.id, kind=job.kind)
                await self._store.fail(job, lease, BROKEN)
                return True
            if not has_advanced or step.is_last:
                return True
            job = job._replace(place=step.place)
            if loop.time() > end:
                break
        await self._store.release(job, lease)
        return True

    async def _tidy(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_SECONDS
            await self._store.tidy(LATE)
