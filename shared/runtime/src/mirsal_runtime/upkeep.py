"""What a connector's process does for its ledger besides attempts: orphans first, old rows last."""

import asyncio
import random

import structlog

from mirsal_runtime.journal import Journal
from mirsal_runtime.ledger import Ledger, LedgerUnavailable
from mirsal_runtime.postgres_ledger import FORGET_ROWS
from mirsal_runtime.reporting import Outbox, keep_trying
from mirsal_runtime.statuses import read_status, status_message

FORGET_EVERY_SECONDS = 3600.0
FORGET_PAUSE_SECONDS = 0.2

log = structlog.get_logger(__name__)


async def settle_orphans(journal: Journal, ledger: Ledger, outbox: Outbox, *, source: str) -> None:
    """Settle what this instance's dead predecessor left, by what its journal proves.

    What it had not begun is free again, what it was writing is unconfirmed, what was answered
    has its outcome. Statuses known here are sent; the others are sent when Kafka delivers their
    commands again. Returns when PostgreSQL and Kafka have all.
    """
    orphans = journal.orphans
    if not orphans:
        return
    changed = await keep_trying(lambda: ledger.resolve(orphans))
    for orphan in changed:
        if orphan.status is not None and orphan.state != "free":
            status = read_status(orphan.status)
            await outbox.send(
                status_message(
                    status,
                    orphan.state,
                    orphan.status,
                    source=source,
                    traceparent=orphan.traceparent,
                )
            )
    log.info(
        "orphans_settled",
        journalled=len(orphans),
        free=sum(orphan.state == "free" for orphan in changed),
        unconfirmed=sum(orphan.state == "unconfirmed" for orphan in changed),
        answered=sum(orphan.state in ("succeeded", "failed") for orphan in changed),
    )


async def keep_ledger_small(ledger: Ledger, keep_seconds: float) -> None:
    """Remove rows that nobody touched for `keep_seconds`, about once an hour, until cancelled."""
    while True:
        await asyncio.sleep(FORGET_EVERY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        try:
            while (removed := await ledger.forget(keep_seconds)) > 0:
                log.info("ledger_rows_forgotten", rows=removed)
                if removed < FORGET_ROWS:
                    break
                await asyncio.sleep(FORGET_PAUSE_SECONDS)
        except LedgerUnavailable as error:
            log.warning("ledger_not_cleaned", error=error)
