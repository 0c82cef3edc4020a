"""People who want something of runs all the time, each wish twice."""

from __future__ import annotations

import asyncio
import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIES = 200
PAUSE_SECONDS = 0.1
ANSWER_SECONDS = 10.0
AGREED: Final = frozenset(
    {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}
)


class People:
    """Cancel, retry, decide and replay at random until told.

    `counts` says how often each kind of wish was accepted; `refusals` are answers that no person
    should see.
    """

    def __init__(self, url: str, api_key: str, run_ids: Sequence[str]) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"{url}/api/automation",
            headers={"x-api-key": api_key},
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )
        self._run_ids = run_ids
        self._random = random.Random(7)  # noqa: S311 - repeatable chance, no secret
        self.counts: dict[str, int] = {"cancel": 0, "retry": 0, "decision": 0, "replay": 0}
        self.refusals: list[str] = []

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def bustle(self, until: asyncio.Event) -> None:
        """Want something of one run after the other."""
        while not until.is_set():
            run = await self._read(f"/run/{self._random.choice(self._run_ids)}")
            await self._want_something(run)
            if self._random.random() < 0.2:
                await self._replay_some()

    async def settle(self) -> int:
        """Have every run go on once, and decide what rests; how many have not succeeded."""
        open_runs = 0
        for run_id in self._run_ids:
            run = await self._read(f"/run/{run_id}")
            open_runs += run["status"] != "succeeded"
            if run["status"] in {"failed", "cancelled"}:
                await self._wish("retry", f"/run/{run_id}/retry")
            elif run["status"] == "unconfirmed":
                await self._decide(run, "sent")
        return open_runs

    async def _want_something(self, run: dict[str, Any]) -> None:
        match self._random.choice(("cancel", "retry", "decide")):
            case "cancel":
                await self._wish("cancel", f"/run/{run['runId']}/cancel")
            case "retry":
                await self._wish("retry", f"/run/{run['runId']}/retry")
            case _:
                await self._decide(run, self._random.choice(("sent", "give_up")))

    async def _decide(self, run: dict[str, Any], verdict: str) -> None:
        for execution in run["executions"]:
            if execution["status"] == "unconfirmed":
                path = f"/execution/{execution['executionId']}/decision"
                await self._wish("decision", path, {"verdict": verdict})

    async def _replay_some(self) -> None:
        page = await self._read("/dead-letters?limit=20")
        for letter in self._random.sample(page["items"], min(3, len(page["items"]))):
            await self._wish("replay", f"/dead-letter/{letter['letterId']}/replay")

    async def _wish(self, kind: str, path: str, body: dict[str, str] | None = None) -> None:
        """Twice at once, as from a client that did not wait for its answer."""
        key = str(uuid4())
        answers = await asyncio.gather(*(self._post(path, key, body) for _ in range(2)))
        accepted = {each.text for each in answers if each.status_code == HTTPStatus.ACCEPTED}
        self.counts[kind] += bool(accepted)
        if len(accepted) > 1:
            self.refusals.append(f"{path}: one key, two answers: {accepted}")

    async def _post(self, path: str, key: str, body: dict[str, str] | None) -> httpx.Response:
        headers = {"idempotency-key": key}
        return await self._insist("POST", path, headers=headers, json=body)

    async def _read(self, path: str) -> dict[str, Any]:
        return dict((await self._insist("GET", path)).json())

    async def _insist(self, method: str, path: str, **options: Any) -> httpx.Response:
        for _ in range(TRIES):
            try:
                answer = await self._http.request(method, path, **options)
            except httpx.TransportError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                if answer.status_code not in AGREED:
                    self.refusals.append(f"{method} {path}: {answer.status_code} {answer.text}")
                return answer
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError(f"{method} {path}: no answer, however often it was asked for")
