"""The WhatsApp Cloud API as a server on a real socket: takes, judges and answers as Meta does.

The checks, the rules, the record and the control API have modules of their own.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from mirsal_testing.faults.sever import sever
from mirsal_testing.simulators.listener import HttpListener, answer_json
from mirsal_testing.simulators.rulebook import RuleBook
from mirsal_testing.simulators.whatsapp.answers import (
    answer_accepted,
    answer_error,
    answer_half,
    error_of,
    make_message_id,
    unsupported,
)
from mirsal_testing.simulators.whatsapp.checks import (
    CheckedMessage,
    check_mark_as_read,
    check_message,
)
from mirsal_testing.simulators.whatsapp.control import WhatsAppRoutes
from mirsal_testing.simulators.whatsapp.errors import MetaError
from mirsal_testing.simulators.whatsapp.record import Call, Record
from mirsal_testing.simulators.whatsapp.rules import WhatsAppRule, choose
from mirsal_testing.simulators.whatsapp.templates import Template, TemplateRegistry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Self

NUMBER_PATH = re.compile(r"/v\d+\.\d+/\w+")


@dataclass(frozen=True, slots=True)
class Account:
    """Which tokens and phone number ids are known; an empty collection knows every one."""

    tokens: Collection[str] = ()
    phone_number_ids: Collection[str] = ()

    def check(self, authorization: str, phone_number_id: str) -> None:
        """Raises MetaError 190 for the token, 100 with subcode 33 for the number."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" or not token or (self.tokens and token not in self.tokens):
            raise MetaError(190, message="Invalid OAuth access token - Cannot parse access token")
        known = phone_number_id.isascii() and phone_number_id.isdigit()
        if not known or (self.phone_number_ids and phone_number_id not in self.phone_number_ids):
            raise unsupported("post", phone_number_id)


class WhatsAppSimulator:
    """`async with WhatsAppSimulator() as whatsapp:`, then send to `whatsapp.url`.

    `port` 0 takes a free one. `keep` bounds how many calls are remembered (0: all).
    `delay_ms` holds back every answer. `keepalive_seconds` closes idle connections.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tokens: Collection[str] = (),
        phone_number_ids: Collection[str] = (),
        templates: Iterable[Template] = (),
        delay_ms: int = 0,
        keep: int = 0,
        keepalive_seconds: float = 75.0,
        seed: int = 0,
    ) -> None:
        self.rules: RuleBook[WhatsAppRule] = RuleBook(WhatsAppRule, seed)
        self.record = Record(keep)
        self.templates = TemplateRegistry(templates)
        self._account = Account(frozenset(tokens), frozenset(phone_number_ids))
        self._delay = delay_ms / 1000
        self._control = WhatsAppRoutes(self.record, self.rules, self.templates).control()
        self._listener = HttpListener(self._answer, host, port, keepalive_timeout=keepalive_seconds)

    def __str__(self) -> str:
        return f"WhatsApp simulator at {self.url}"

    async def __aenter__(self) -> Self:
        await self._listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.stop()

    @property
    def url(self) -> str:
        """The base URL, without the API version."""
        return self._listener.url

    @property
    def messages(self) -> list[Call]:
        """The accepted messages, oldest first."""
        return list(self.record.messages)

    @property
    def calls(self) -> list[Call]:
        """Every finished call, accepted or not, oldest first."""
        return list(self.record.calls)

    async def wait_for_messages(self, count: int, seconds: float = 10.0) -> None:
        """Returns once `count` were accepted. Raises TimeoutError, which says how many were."""
        await self.record.messages.reach(count, seconds)

    def fail_next(
        self,
        code: int,
        *,
        times: int = 1,
        match: Mapping[str, object] | None = None,
        **answer: int | str,
    ) -> WhatsAppRule:
        """The next calls get Meta's error `code`; `answer` as `error` of a rule (status, ...)."""
        action = {"error": {"code": code, **answer}}
        return self.rules.add({"times": times, "match": match or {}, "action": action})

    def drop_next(
        self, when: str = "after", *, times: int = 1, reset: bool = False
    ) -> WhatsAppRule:
        """The next calls lose their connection `before` or `after` acceptance, or `midway`."""
        return self.rules.add({"times": times, "action": {"drop": when, "reset": reset}})

    def reset(self) -> None:
        """Forgets calls, messages and rules; templates stay."""
        self.record.clear()
        self.rules.clear()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        if path.endswith("/messages") and not path.startswith("/simulator/"):
            if request.method != "POST":
                return answer_error(unsupported(request.method.lower(), path.split("/")[-2]))
            return await self._take(request, path)
        if request.method == "GET" and NUMBER_PATH.fullmatch(path):
            return self._describe(path.rpartition("/")[2], request.headers)
        return await self._control.answer(request)

    def _describe(self, phone_number_id: str, headers: Mapping[str, str]) -> web.StreamResponse:
        """What Meta says of a phone number to whoever has a token for it."""
        try:
            self._account.check(headers.get("Authorization", ""), phone_number_id)
        except MetaError as error:
            return answer_error(error)
        return answer_json(
            {
                "verified_name": "Mirsal",
                "display_phone_number": "+20 100 000 0001",
                "quality_rating": "GREEN",
                "id": phone_number_id,
            }
        )

    async def _take(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        body = await request.read()
        call = Call(time.time(), path, request.raw_headers, body)
        try:
            message = self._check(call, request.headers.get("Authorization", ""))
        except MetaError as error:
            return self._refuse(call, error)
        if message is None:
            call.outcome, call.status = "read", 200
            self.record.close(call)
            return answer_json({"success": True})
        call.to, call.type, call.callback_data = message.wa_id, message.type, message.callback_data
        delay, rule = choose(self.rules, message, time.monotonic())
        return await self._finish(request, call, message, self._delay + delay, rule)

    def _check(self, call: Call, authorization: str) -> CheckedMessage | None:
        """The message, or None where this marks another as read. Raises MetaError."""
        parts = call.path.split("/")
        if len(parts) != 4 or not parts[1].startswith("v"):  # /version/id/messages
            raise MetaError(2500, message=f"Unknown path components: {call.path}")
        self._account.check(authorization, parts[2])
        try:
            payload = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            # The Graph API does not say that JSON is broken: it finds no parameters in it.
            payload = None
            call.reason = "the body is not JSON"
        if isinstance(payload, dict) and "status" in payload:
            check_mark_as_read(payload)
            return None
        return check_message(payload, self.templates)

    async def _finish(
        self,
        request: web.BaseRequest,
        call: Call,
        message: CheckedMessage,
        delay: float,
        rule: WhatsAppRule | None,
    ) -> web.StreamResponse:
        # Recorded on arrival, before any delay: who goes away meanwhile has sent it all the same.
        if rule is None or rule.action.accepts:
            self.record.accept(call, make_message_id(message.wa_id))
        if rule is not None:
            return await self._misbehave(request, call, message, delay, rule)
        call.status = 200
        self.record.close(call)
        if delay:
            await asyncio.sleep(delay)
        return answer_accepted(call, message)

    async def _misbehave(
        self,
        request: web.BaseRequest,
        call: Call,
        message: CheckedMessage,
        delay: float,
        rule: WhatsAppRule,
    ) -> web.StreamResponse:
        action = rule.action
        call.rule_id = rule.id
        error = error_of(action)
        if error is not None:
            call.outcome, call.status, call.code = "error", error.status, error.code
            call.reason = str(error)
        elif action.status is not None:
            call.outcome, call.status = "status", action.status
        else:
            call.outcome = "hung" if action.hang else "dropped"
        self.record.close(call)
        await asyncio.sleep(delay)
        if error is not None:
            return answer_error(error, action.error.retry_after if action.error else None)
        if action.status is not None:
            return web.Response(status=action.status, text=action.body)
        if action.hang:
            await asyncio.Event().wait()
        if action.drop == "midway":
            await answer_half(request, answer_accepted(call, message))
        sever(request.transport, reset=action.reset)
        # Never seen by anyone: the connection is gone.
        return web.Response(status=503)

    def _refuse(self, call: Call, error: MetaError) -> web.Response:
        call.outcome, call.status, call.code = "refused", error.status, error.code
        call.reason = call.reason or str(error)
        self.record.close(call)
        return answer_error(error)
