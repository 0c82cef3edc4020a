"""Clients as ours are: an Idempotency-Key on each start, and the same key until there is a 202."""

from __future__ import annotations

import asyncio
import itertools
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 0.1
LONGEST_PAUSE = 1.0
GIVE_UP_SECONDS = 60.0


class Clients:
    """Starts runs at a steady rate, whatever the answers; the ledger of what got a 202.

    `accepted` is the lead's id by run id. `retries` counts calls that were cut or got a 503, of
    which `unavailable` are the 503s. `refusals` are answers that no client should see.
    """

    def __init__(self, url: str, api_key: str, workflow: str, leads: Sequence[str]) -> None:
        self._url = f"{url}/api/automation/workflow/{workflow}/run"
        self._api_key = api_key
        self._leads = itertools.cycle(leads)
        self._keys = (f"storm-{time.time_ns():x}-{number}" for number in itertools.count())
        self.accepted: dict[str, str] = {}
        self.starts = 0
        self.retries = 0
        self.unavailable = 0
        self.refusals: list[str] = []
        self._sent_at: dict[str, float] = {}

    def count_open(self, sent_before: float) -> int:
        """How many calls that went out before that moment (wall clock) have no answer yet."""
        return sum(sent_at < sent_before for sent_at in self._sent_at.values())

    async def storm(self, rate: float, until: asyncio.Event) -> None:
        """Start `rate` runs a second until told; returns when each start got its answer."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as starts,
        ):
            began = time.monotonic()
            while not until.is_set():
                starts.create_task(self._start(session, next(self._keys), next(self._leads)))
                self.starts += 1
                due = began + self.starts / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _start(self, session: aiohttp.ClientSession, key: str, lead: str) -> None:
        headers = {"x-api-key": self._api_key, "idempotency-key": key}
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < give_up:
            pause = PAUSE_SECONDS
            self._sent_at[key] = time.time()
            try:
                async with session.post(
                    self._url, json={"leadId": lead}, headers=headers
                ) as answer:
                    if answer.status == HTTPStatus.ACCEPTED:
                        self.accepted[(await answer.json())["runId"]] = lead
                        return
                    if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                        self.refusals.append(f"{answer.status}: {await answer.text()}")
                        return
                    self.unavailable += 1
                    pause = min(LONGEST_PAUSE, float(answer.headers["retry-after"]))
            except (aiohttp.ClientError, TimeoutError):
                pass
            finally:
                del self._sent_at[key]
            self.retries += 1
            await asyncio.sleep(pause)
        self.refusals.append(f"no 202 within {GIVE_UP_SECONDS:.0f} s")
