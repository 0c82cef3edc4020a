"""The Google Sheets API as a server on a real socket, with Google's token endpoint beside it.

What the API does, the rules, the record and the control API have modules of their own.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import web

from mirsal_testing.faults.sever import sever
from mirsal_testing.simulators.listener import HttpListener, answer_json
from mirsal_testing.simulators.rulebook import RuleBook
from mirsal_testing.simulators.sheets.accounts import (
    OAuthUser,
    default_account,
    read_account,
    write_account,
)
from mirsal_testing.simulators.sheets.answers import answer_half, answer_json_error, read_body
from mirsal_testing.simulators.sheets.calls import ROOT, TOKEN_PATH, find_target
from mirsal_testing.simulators.sheets.control import SheetsRoutes
from mirsal_testing.simulators.sheets.errors import GoogleError, too_large_body
from mirsal_testing.simulators.sheets.library import Library, SpreadsheetSpec, TabSpec
from mirsal_testing.simulators.sheets.quota import Quota, QuotaLimits
from mirsal_testing.simulators.sheets.record import Call, Record
from mirsal_testing.simulators.sheets.rules import SheetsRule, choose
from mirsal_testing.simulators.sheets.service import perform
from mirsal_testing.simulators.sheets.tokens import OAuthError, TokenOffice, invalid_grant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path
    from typing import Self

    from mirsal_testing.simulators.sheets.calls import Target
    from mirsal_testing.simulators.sheets.workbook import Workbook


class SheetsSimulator:
    """`async with SheetsSimulator() as sheets:`, then call `sheets.url` instead of Google's.

    `port` 0 takes a free one. `tokens` are good without the token endpoint. `makes_spreadsheets`
    lets every id exist. `credentials_file` gets the service account's JSON, and gives its key
    when it is there from an earlier start. `keep` bounds how many calls are remembered (0: all).
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tokens: Collection[str] = (),
        token_seconds: int = 3600,
        makes_spreadsheets: bool = False,
        credentials_file: Path | None = None,
        quota: QuotaLimits | None = None,
        delay_ms: int = 0,
        keep: int = 0,
        keepalive_seconds: float = 75.0,
        seed: int = 0,
    ) -> None:
        self.rules: RuleBook[SheetsRule] = RuleBook(SheetsRule, seed)
        self.record = Record(keep)
        self.library = Library(makes_unknown=makes_spreadsheets)
        self.quota = Quota()
        self.quota.set(quota)
        self.tokens = TokenOffice(fixed=tokens, seconds=token_seconds)
        kept = None if credentials_file is None else read_account(credentials_file)
        self.account = kept or default_account()
        self.person = OAuthUser.make()
        self.tokens.add_account(self.account)
        self.tokens.add_person(self.person)
        self._credentials_file = credentials_file
        self._delay = delay_ms / 1000
        self._control = SheetsRoutes(self).control()
        self._listener = HttpListener(self._answer, host, port, keepalive_timeout=keepalive_seconds)

    def __str__(self) -> str:
        return f"Google Sheets simulator at {self.url}"

    async def __aenter__(self) -> Self:
        await self._listener.start()
        if self._credentials_file is not None:
            await asyncio.to_thread(
                write_account, self._credentials_file, self.account, self.token_url
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.stop()

    @property
    def url(self) -> str:
        """In the place of `https://sheets.googleapis.com`."""
        return self._listener.url

    @property
    def token_url(self) -> str:
        return self.url + TOKEN_PATH

    @property
    def service_account_info(self) -> dict[str, str]:
        """The JSON of a service account that may use this simulator, its private key included."""
        return self.account.info(self.token_url)

    @property
    def authorized_user_info(self) -> dict[str, str]:
        """The JSON of a person's refresh token for this simulator."""
        return self.person.info(self.token_url)

    @property
    def calls(self) -> list[Call]:
        """Every finished call, oldest first."""
        return list(self.record.calls)

    def add_spreadsheet(
        self, spreadsheet_id: str = "", tabs: Iterable[TabSpec] = (), *, title: str = "Leads"
    ) -> Workbook:
        """Without tabs it has one, `Sheet1`, of 1,000 rows and 26 columns."""
        spec = SpreadsheetSpec(id=spreadsheet_id, title=title, tabs=list(tabs) or [TabSpec()])
        return self.library.add(spec)

    def fail_next(
        self, kind: str, *, times: int = 1, match: Mapping[str, object] | None = None
    ) -> SheetsRule:
        """The next matching calls get an error: `rateLimited`, `unavailable`, ... of `rules`."""
        action = {"error": {"kind": kind}}
        return self.rules.add({"times": times, "match": match or {}, "action": action})

    def drop_next(
        self,
        when: str = "after",
        *,
        times: int = 1,
        reset: bool = False,
        match: Mapping[str, object] | None = None,
    ) -> SheetsRule:
        """The next calls lose their connection `before` or `after` they took effect."""
        action = {"drop": when, "reset": reset}
        return self.rules.add({"times": times, "match": match or {}, "action": action})

    def reset(self) -> None:
        """Forgets calls and rules; spreadsheets, tokens and quota stay."""
        self.record.clear()
        self.rules.clear()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        target = find_target(request.method, path)
        if target is not None:
            return await self._take(request, target)
        if path.startswith(ROOT) or path == TOKEN_PATH:
            return answer_json_error(GoogleError(404, f"No method {request.method} {path}"))
        return await self._control.answer(request)

    async def _take(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        body = await read_body(request)
        call = Call(
            time.time(), target.method.name, request.raw_path, target.spreadsheet_id,
            target.range, body or b"",
        )  # fmt: skip
        try:
            if body is None:
                raise too_large_body()
            if target.method.kind != "token":
                self._admit(call, target, request.headers.get("Authorization", ""))
        except GoogleError as error:
            return self._refuse(call, error)
        delay, rule = choose(self.rules, target)
        whole: web.Response | None = None
        if rule is None or rule.action.applies:
            try:
                whole = self._do(call, target, request)
            except (GoogleError, OAuthError) as error:
                return self._refuse(call, error)
        return await self._finish(request, call, target, self._delay + delay, rule, whole)

    def _admit(self, call: Call, target: Target, authorization: str) -> None:
        """Raises GoogleError 401 or 403 for the caller, 429 for the quota."""
        method = target.method
        call.user = self.tokens.user_of(authorization, method.google_name)
        if method.kind != "token":
            self.quota.take(method.kind, call.user, call.arrived)

    def _do(self, call: Call, target: Target, request: web.BaseRequest) -> web.Response:
        """Lets the call take effect, on arrival: who then goes away has sent it all the same."""
        if target.method.kind == "token":
            form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
            answer = self.tokens.grant(form, self.token_url)
            rows = 0
        else:
            query = request.query
            done = perform(self.library, target, query, query.getall("ranges", []), call.body)
            answer, rows = done.body, done.rows
        self.record.apply(call, target.method.kind, rows)
        return answer_json(answer)

    async def _finish(
        self,
        request: web.BaseRequest,
        call: Call,
        target: Target,
        delay: float,
        rule: SheetsRule | None,
        whole: web.Response | None,
    ) -> web.StreamResponse:
        if rule is not None:
            return await self._misbehave(request, call, target, delay, rule, whole)
        call.status = 200
        self.record.close(call)
        if delay:
            await asyncio.sleep(delay)
        return whole or web.Response()

    async def _misbehave(
        self,
        request: web.BaseRequest,
        call: Call,
        target: Target,
        delay: float,
        rule: SheetsRule,
        whole: web.Response | None,
    ) -> web.StreamResponse:
        action = rule.action
        call.rule_id = rule.id
        answer: web.Response | None = None
        if action.error is not None:
            call.outcome = "error"
            if action.error.kind == "invalidGrant":
                answer = answer_json_error(invalid_grant())
            else:
                answer = answer_json_error(action.error.error(target), action.error.retry_after)
        elif action.status is not None:
            call.outcome = "status"
            answer = web.Response(status=action.status, text=action.body)
        else:
            call.outcome = "hung" if action.hang else "dropped"
        call.status = None if answer is None else answer.status
        self.record.close(call)
        await asyncio.sleep(delay)
        if answer is not None:
            return answer
        if action.hang:
            await asyncio.Event().wait()
        if action.drop == "midway" and whole is not None:
            await answer_half(request, whole)
        sever(request.transport, reset=action.reset)
        # Never seen by anyone: the connection is gone.
        return web.Response(status=503)

    def _refuse(self, call: Call, error: GoogleError | OAuthError) -> web.Response:
        answer = answer_json_error(error)
        call.outcome, call.status, call.reason = "refused", answer.status, str(error)
        self.record.close(call)
        return answer
