"""The control API of the Sheets simulator: spreadsheets, their rows, calls, quota, accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from mirsal_testing.simulators.control import (
    BadQuery,
    Control,
    answer_health,
    answer_problem,
    last_part,
    read_int,
    rule_routes,
)
from mirsal_testing.simulators.listener import answer_json
from mirsal_testing.simulators.process import cpu_seconds
from mirsal_testing.simulators.rulebook import WireModel
from mirsal_testing.simulators.sheets.a1 import Box
from mirsal_testing.simulators.sheets.errors import GoogleError
from mirsal_testing.simulators.sheets.library import (
    SpreadsheetChange,
    SpreadsheetSpec,
    change_spreadsheet,
    resize,
)
from mirsal_testing.simulators.sheets.pages import PAGE_POLICY, STYLE, render_list, render_tab
from mirsal_testing.simulators.sheets.quota import QuotaLimits
from mirsal_testing.simulators.sheets.record import CALLS, Call
from mirsal_testing.simulators.sheets.value_ranges import render

if TYPE_CHECKING:
    from mirsal_testing.simulators.sheets.grid import Tab
    from mirsal_testing.simulators.sheets.simulator import SheetsSimulator
    from mirsal_testing.simulators.sheets.workbook import Workbook

DEFAULT_LIMIT = 1000
MOST = 20_000
ModelT = TypeVar("ModelT", bound=BaseModel)


class GridSize(WireModel):
    """A tab's size to preset."""

    spreadsheet_id: str
    tab: str
    rows: int = Field(ge=1)
    columns: int = Field(ge=1)


class AccountChange(WireModel):
    """Without `email` it is the service account. `expire_tokens` ends all tokens given so far."""

    email: str = ""
    revoked: bool | None = None
    expire_tokens: bool = False


class Refused(Exception):
    """The body, or what it names, is wrong."""

    def __init__(self, status: int, title: str, detail: object = None) -> None:
        super().__init__(title)
        self.answer = answer_problem(status, title, detail)


class SheetsRoutes:
    """The handlers, one for each method and path."""

    def __init__(self, simulator: SheetsSimulator) -> None:
        self._simulator = simulator

    def control(self) -> Control:
        return Control(
            {
                ("GET", "/"): self.show_list,
                ("GET", "/spreadsheets/*"): self.show_tab,
                ("GET", "/style.css"): self.show_style,
                ("GET", "/health"): answer_health,
                ("GET", "/simulator/summary"): self.show_summary,
                ("GET", "/simulator/calls"): self.list_calls,
                ("DELETE", "/simulator/calls"): self.clear_calls,
                ("GET", "/simulator/spreadsheets"): self.list_spreadsheets,
                ("POST", "/simulator/spreadsheets"): self.add_spreadsheet,
                ("GET", "/simulator/spreadsheets/*"): self.show_spreadsheet,
                ("PATCH", "/simulator/spreadsheets/*"): self.change_spreadsheet,
                ("DELETE", "/simulator/spreadsheets/*"): self.remove_spreadsheet,
                ("GET", "/simulator/rows"): self.show_rows,
                ("POST", "/simulator/grid"): self.resize_grid,
                ("GET", "/simulator/quota"): self.show_quota,
                ("PUT", "/simulator/quota"): self.set_quota,
                ("DELETE", "/simulator/quota"): self.remove_quota,
                ("GET", "/simulator/credentials"): self.show_credentials,
                ("POST", "/simulator/accounts"): self.change_account,
                **rule_routes(self._simulator.rules),
            }
        )

    async def show_list(self, _request: web.BaseRequest) -> web.Response:
        return _page(render_list(list(self._simulator.library)))

    async def show_tab(self, request: web.BaseRequest) -> web.Response:
        book = self._simulator.library.find(last_part(request))
        if book is None:
            return answer_problem(404, "No such spreadsheet")
        used = next((tab for tab in book.tabs if tab.last_row >= 0), book.tabs[0])
        tab = book.find_tab(request.query.get("tab", used.title))
        if tab is None:
            return answer_problem(404, "No such tab")
        number = read_int(request, "page", 0, 1_000_000)
        return _page(render_tab(book, tab, number or None))

    async def show_style(self, _request: web.BaseRequest) -> web.Response:
        return web.Response(text=STYLE, content_type="text/css")

    async def show_summary(self, _request: web.BaseRequest) -> web.Response:
        summary = self._simulator.record.summary()
        return answer_json(
            {
                **summary,
                "spreadsheets": len(self._simulator.library),
                "cpuSeconds": cpu_seconds(),
            }
        )

    async def list_calls(self, request: web.BaseRequest) -> web.Response:
        """`?since=` a sequence number (exclusive), `?limit=`, `?fields=`, and exact filters."""
        journal = self._simulator.record.calls
        since = read_int(request, "since", 0, journal.total)
        limit = read_int(request, "limit", DEFAULT_LIMIT, MOST)
        names = CALLS.names(request)
        asked = {
            attribute: request.query[name]
            for name, attribute in _FILTERS.items()
            if name in request.query
        }

        def wanted(call: Call) -> bool:
            return all(getattr(call, name) == value for name, value in asked.items())

        found = journal.after(since, limit, wanted if asked else None)
        return answer_json(
            {
                "items": [CALLS.show(call, names) for call in found],
                "next": found[-1].sequence if found else since,
                "total": journal.total,
            }
        )

    async def clear_calls(self, _request: web.BaseRequest) -> web.Response:
        self._simulator.record.clear()
        return web.Response(status=204)

    async def list_spreadsheets(self, _request: web.BaseRequest) -> web.Response:
        return answer_json({"items": [_show_book(book) for book in self._simulator.library]})

    async def add_spreadsheet(self, request: web.BaseRequest) -> web.Response:
        try:
            spec = await _read_model(request, SpreadsheetSpec)
            book = self._simulator.library.add(spec)
        except Refused as refused:
            return refused.answer
        except GoogleError as error:
            return answer_problem(422, "Not a spreadsheet", error.message)
        return answer_json(_show_book(book), 201)

    async def show_spreadsheet(self, request: web.BaseRequest) -> web.Response:
        book = self._simulator.library.find(last_part(request))
        return (
            answer_problem(404, "No such spreadsheet")
            if book is None
            else answer_json(_show_book(book))
        )

    async def change_spreadsheet(self, request: web.BaseRequest) -> web.Response:
        book = self._simulator.library.find(last_part(request))
        if book is None:
            return answer_problem(404, "No such spreadsheet")
        try:
            change_spreadsheet(book, await _read_model(request, SpreadsheetChange))
        except Refused as refused:
            return refused.answer
        return answer_json(_show_book(book))

    async def remove_spreadsheet(self, request: web.BaseRequest) -> web.Response:
        if not self._simulator.library.remove(last_part(request)):
            return answer_problem(404, "No such spreadsheet")
        return web.Response(status=204)

    async def show_rows(self, request: web.BaseRequest) -> web.Response:
        """All rows with values of `?spreadsheetId=&tab=`, as `?valueRenderOption=` says."""
        try:
            _, tab = self._find_tab(
                request.query.get("spreadsheetId", ""), request.query.get("tab", "")
            )
        except Refused as refused:
            return refused.answer
        box = Box(0, 0, tab.rows.count, tab.columns.count)
        option = {"valueRenderOption": request.query.get("valueRenderOption", "UNFORMATTED_VALUE")}
        try:
            shown = render(tab, box, option)
        except GoogleError as error:
            raise BadQuery(error.message) from error
        return answer_json({**_show_tab(tab), "values": shown.get("values", [])})

    async def resize_grid(self, request: web.BaseRequest) -> web.Response:
        try:
            size = await _read_model(request, GridSize)
            book, tab = self._find_tab(size.spreadsheet_id, size.tab)
            resize(book, tab, size.rows, size.columns)
        except Refused as refused:
            return refused.answer
        except GoogleError as error:
            return answer_problem(422, "No such size", error.message)
        return answer_json(_show_tab(tab))

    async def show_quota(self, _request: web.BaseRequest) -> web.Response:
        limits = self._simulator.quota.limits
        return answer_json({"limits": limits and limits.model_dump(by_alias=True)})

    async def set_quota(self, request: web.BaseRequest) -> web.Response:
        try:
            self._simulator.quota.set(await _read_model(request, QuotaLimits))
        except Refused as refused:
            return refused.answer
        return await self.show_quota(request)

    async def remove_quota(self, _request: web.BaseRequest) -> web.Response:
        self._simulator.quota.set(None)
        return web.Response(status=204)

    async def show_credentials(self, _request: web.BaseRequest) -> web.Response:
        """Both kinds of credentials, private key included: they are good for nothing but this."""
        return answer_json(
            {
                "serviceAccount": self._simulator.service_account_info,
                "authorizedUser": self._simulator.authorized_user_info,
            }
        )

    async def change_account(self, request: web.BaseRequest) -> web.Response:
        try:
            change = await _read_model(request, AccountChange)
        except Refused as refused:
            return refused.answer
        tokens = self._simulator.tokens
        email = change.email or self._simulator.account.email
        if change.revoked:
            tokens.revoke(email)
        elif change.revoked is not None:
            tokens.restore(email)
        expired = tokens.expire_tokens() if change.expire_tokens else 0
        return answer_json({"email": email, "expiredTokens": expired})

    def _find_tab(self, spreadsheet_id: str, title: str) -> tuple[Workbook, Tab]:
        book = self._simulator.library.find(spreadsheet_id)
        if book is None:
            raise Refused(404, "No such spreadsheet")
        tab = book.find_tab(title) if title else book.tabs[0]
        if tab is None:
            raise Refused(404, "No such tab")
        return book, tab


_FILTERS = {
    "method": "method", "outcome": "outcome", "spreadsheetId": "spreadsheet_id",
}  # fmt: skip


async def _read_model(request: web.BaseRequest, model: type[ModelT]) -> ModelT:
    try:
        return model.model_validate(orjson.loads(await request.read()))
    except orjson.JSONDecodeError as error:
        raise Refused(400, "The body is not JSON", str(error)) from error
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise Refused(422, f"Not a {model.__name__}", faults) from error


def _show_book(book: Workbook) -> dict[str, Any]:
    return {
        "id": book.spreadsheet_id,
        "title": book.title,
        "access": book.access,
        "deleted": book.deleted,
        "cells": book.cell_count,
        "tabs": [_show_tab(tab) for tab in book.tabs],
    }


def _show_tab(tab: Tab) -> dict[str, Any]:
    return {
        "sheetId": tab.sheet_id,
        "title": tab.title,
        "rows": tab.rows.count,
        "columns": tab.columns.count,
        "lastRow": tab.last_row + 1,
        "usedCells": tab.used_cells,
        "hiddenColumns": sorted(tab.columns.hidden),
    }


def _page(html: str) -> web.Response:
    return web.Response(
        text=html,
        content_type="text/html",
        headers={
            "Content-Security-Policy": PAGE_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )
