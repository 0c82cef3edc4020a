"""What an attempt does with its time, where whole workers would hardly ever show it."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from mirsal_runtime.claims import ClaimDesk, LiveAttempt
from mirsal_runtime.journal import Journal
from mirsal_runtime.ledger import LedgerKey
from mirsal_runtime.presence import Presence
from mirsal_runtime.watermarks import Watermark
from mirsal_runtime.work import Work
from mirsal_testing.commands import make_command
from mirsal_testing.memory_ledger import LedgerStore, MemoryLedger


async def test_a_call_whose_time_is_just_over_can_be_stopped(tmp_path: Path) -> None:
    """In the moment between its time-out and its end, when the process is told to stop."""
    ledger = MemoryLedger(LedgerStore())
    journal = Journal.take(tmp_path, "worker-1")
    desk = ClaimDesk(ledger, journal, Presence(ledger), repeatable=True)
    work = Work(make_command("noop", {}), LedgerKey(uuid4(), "send", 0), "", 0, Watermark())
    loop = asyncio.get_running_loop()
    stopped: list[bool] = []

    async def call() -> None:
        async with asyncio.timeout(60) as timer:
            attempt = LiveAttempt(work, "", timer, desk)

            def stop() -> None:
                attempt.stop()
                stopped.append(timer.expired())

            timer.reschedule(loop.time())
            loop.call_soon(stop)
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await call()
    journal.close()
    assert stopped == [True]
