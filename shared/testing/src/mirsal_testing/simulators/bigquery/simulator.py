"""The BigQuery API as a server on a real socket: `bqemulator` behind Google's checks and our rules.

The checks, the rules, the record and the control API have modules of their own.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from mirsal_testing.faults.sever import sever
from mirsal_testing.simulators.bigquery.backend import Answer, Backend
from mirsal_testing.simulators.bigquery.control import BigQueryRoutes
from mirsal_testing.simulators.bigquery.emulator import Emulator
from mirsal_testing.simulators.bigquery.errors import GoogleError
from mirsal_testing.simulators.bigquery.operations import find_operation
from mirsal_testing.simulators.bigquery.record import Call, Record, StoredRow
from mirsal_testing.simulators.bigquery.rules import BigQueryRule, Fate, choose
from mirsal_testing.simulators.bigquery.tables import Behaviour, TableCalls
from mirsal_testing.simulators.listener import HttpListener, answer_json
from mirsal_testing.simulators.rulebook import RuleBook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

LARGEST_BODY = 10_485_760
"""Bytes; Google refuses what is larger."""
_READABLE_BODY = 64 * 1024 * 1024


class BigQuerySimulator:
    """`async with BigQuerySimulator() as bigquery:`, then `bigquery.url` is the API's endpoint.

    Without an `emulator` it has one of its own, which starts with the first call. `project` is for
    tests that share an emulator: no two have the same. `keep` bounds what is remembered (0: all).
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        emulator: Emulator | None = None,
        folder: Path | None = None,
        behaviour: Behaviour | None = None,
        delay_ms: int = 0,
        keep: int = 0,
        seed: int = 0,
    ) -> None:
        self.project = f"project-{secrets.token_hex(4)}"
        self.rules: RuleBook[BigQueryRule] = RuleBook(BigQueryRule, seed)
        self.record = Record(keep)
        used = emulator or Emulator(folder or Path(tempfile.gettempdir()))
        self._own = used if emulator is None else None
        self._backend = Backend(used)
        self._tables = TableCalls(self._backend, self.record, behaviour or Behaviour())
        self._effects: set[asyncio.Task[Answer]] = set()
        self._delay = delay_ms / 1000
        self._control = BigQueryRoutes(self.record, self.rules, self._tables).control()
        self._listener = HttpListener(self._answer, host, port, request_factory=_large_request)

    def __str__(self) -> str:
        return f"BigQuery simulator at {self.url}"

    async def __aenter__(self) -> Self:
        await self._listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.stop()
        await self._backend.close()
        if self._own is not None:
            await self._own.stop()

    @property
    def url(self) -> str:
        """The API's endpoint, without `/bigquery/v2`."""
        return self._listener.url

    def behave(self, behaviour: Behaviour) -> None:
        """From now on: how long insertIds are remembered, and how streaming lags behind."""
        self._tables.behaviour = behaviour

    @property
    def calls(self) -> list[Call]:
        """Every finished call, oldest first."""
        return list(self.record.calls)

    @property
    def rows(self) -> list[StoredRow]:
        """The streamed rows that are in their tables, oldest first."""
        return list(self.record.rows)

    def fail_next(
        self,
        reason: str,
        *,
        times: int | None = 1,
        match: Mapping[str, object] | None = None,
        **answer: int | str,
    ) -> BigQueryRule:
        """The next calls get Google's error for `reason`; `answer` as `error` of a rule."""
        action = {"error": {"reason": reason, **answer}}
        return self.rules.add({"times": times, "match": match or {}, "action": action})

    def drop_next(
        self,
        when: str = "after",
        *,
        times: int = 1,
        match: Mapping[str, object] | None = None,
        reset: bool = False,
    ) -> BigQueryRule:
        """The next calls lose their connection `before` or `after` they took effect."""
        action = {"drop": when, "reset": reset}
        return self.rules.add({"times": times, "match": match or {}, "action": action})

    def reset(self) -> None:
        """Forgets calls, stored rows (not the tables), rules and insertIds."""
        self.record.clear()
        self.rules.clear()
        self._tables.forget()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not request.path.startswith("/bigquery/"):
            return await self._control.answer(request)
        operation = find_operation(request.method, request.raw_path.partition("?")[0])
        body = await request.read()
        call = Call(operation, time.time(), request.method, request.raw_path, len(body))
        if len(body) > LARGEST_BODY:
            return self._refuse(call, GoogleError("requestTooLarge"))
        fate = choose(self.rules, operation, body, time.monotonic())
        return await self._finish(request, call, body, fate)

    async def _finish(
        self, request: web.BaseRequest, call: Call, body: bytes, fate: Fate
    ) -> web.StreamResponse:
        # It takes effect on arrival, before any delay, and although its caller may go away.
        answer: Answer | None = None
        try:
            if fate.ending is None or fate.ending.action.accepts:
                effect = asyncio.create_task(self._perform(request, call, body, fate))
                self._effects.add(effect)
                effect.add_done_callback(self._effects.discard)
                answer = await asyncio.shield(effect)
        except asyncio.CancelledError:
            call.outcome = "left"
            self.record.close(call)
            raise
        except GoogleError as error:
            if fate.ending is None:
                return self._refuse(call, error)
        delay = self._delay + fate.delay
        if fate.ending is not None:
            return await self._misbehave(request, call, delay, fate.ending)
        assert answer is not None  # noqa: S101 - it was refused otherwise
        call.status = answer.status
        if not answer.is_good:
            call.reason, call.message = _reason(answer)
        self.record.close(call)
        if delay:
            await asyncio.sleep(delay)
        return web.Response(body=answer.body, status=answer.status, content_type="application/json")

    async def _perform(
        self, request: web.BaseRequest, call: Call, body: bytes, fate: Fate
    ) -> Answer:
        operation, path = call.operation, call.path
        if operation.name == "tabledata.insertAll":
            return await self._tables.insert_rows(call, body, fate.rows)
        if operation.name == "tables.insert":
            return await self._tables.insert_table(operation, path, body)
        if operation.name in ("tables.patch", "tables.update"):
            if_match = request.headers.get("If-Match", "")
            return await self._tables.change_table(operation, call.method, path, body, if_match)
        if operation.name == "tables.delete":
            return await self._tables.delete_table(operation, path)
        return await self._backend.send(call.method, path, body)

    async def _misbehave(
        self, request: web.BaseRequest, call: Call, delay: float, rule: BigQueryRule
    ) -> web.StreamResponse:
        action = rule.action
        call.rule_id = rule.id
        error = action.error_for(call.operation.table)
        if error is not None:
            call.outcome, call.status = "error", error.status
            call.reason, call.message = error.reason, error.message
        elif action.status is not None:
            call.outcome, call.status = "status", action.status
        else:
            call.outcome = "hung" if action.hang else "dropped"
        self.record.close(call)
        await asyncio.sleep(delay)
        if error is not None:
            return answer_json(error.body(), error.status)
        if action.status is not None:
            return web.Response(status=action.status, text=action.body)
        if action.hang:
            await asyncio.Event().wait()
        sever(request.transport, reset=action.reset)
        # Never seen by anyone: the connection is gone.
        return web.Response(status=503)

    def _refuse(self, call: Call, error: GoogleError) -> web.Response:
        call.outcome, call.status = "refused", error.status
        call.reason, call.message = error.reason, error.message
        self.record.close(call)
        return answer_json(error.body(), error.status)


def _large_request(
    message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]
) -> web.BaseRequest:
    """aiohttp's own limit is 1 MiB, and its refusal is not Google's."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=_READABLE_BODY
    )


def _reason(answer: Answer) -> tuple[str | None, str | None]:
    error = answer.json().get("error") or {}
    first = (error.get("errors") or [{}])[0]
    return first.get("reason"), error.get("message")
