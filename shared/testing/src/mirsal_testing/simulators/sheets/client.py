"""Client of the Sheets simulator's control API, for tests that run it as another process."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mirsal_testing.simulators.control_client import POLL_SECONDS, ControlClient, raise_with_reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Cell = str | int | float | bool


@dataclass(frozen=True, slots=True)
class TabRows:
    """A tab as it stands: its rows with values, and its grid."""

    title: str
    rows: int
    columns: int
    hidden_columns: tuple[int, ...]
    values: list[list[Cell]]

    def records(self) -> list[dict[str, Cell]]:
        """The rows below the first by the names in the first; a missing cell is empty text."""
        if not self.values:
            return []
        header, *lines = self.values
        return [
            {
                str(name): line[place] if place < len(line) else ""
                for place, name in enumerate(header)
            }
            for line in lines
        ]


class SheetsSimulatorClient(ControlClient):
    """`async with SheetsSimulatorClient(url) as sheets: await sheets.tab("id", "Leads")`."""

    async def reset(self) -> None:
        """Forgets the calls and all rules; spreadsheets, tokens and quota stay."""
        await self._delete("/simulator/calls")
        await self.clear_rules()

    async def add_spreadsheet(
        self,
        spreadsheet_id: str = "",
        tabs: Sequence[Mapping[str, object]] = (),
        *,
        title: str = "Leads",
    ) -> str:
        """Its id. Each tab is `{"title", "rows", "columns", "values"}`, all of them optional."""
        sent: dict[str, object] = {"id": spreadsheet_id, "title": title}
        if tabs:
            sent["tabs"] = list(tabs)
        return str((await self._send("POST", "/simulator/spreadsheets", sent))["id"])

    async def spreadsheets(self) -> list[dict[str, Any]]:
        return list((await self._get("/simulator/spreadsheets"))["items"])

    async def spreadsheet(self, spreadsheet_id: str) -> dict[str, Any]:
        """Title, access, cells and the tabs' sizes."""
        return await self._get(_path(spreadsheet_id))

    async def delete_spreadsheet(self, spreadsheet_id: str, *, deleted: bool = True) -> None:
        """Calls get 404 from now on; with `deleted=False` it is back as it was."""
        await self._send("PATCH", _path(spreadsheet_id), {"deleted": deleted})

    async def set_access(self, spreadsheet_id: str, access: str) -> None:
        """`writer`, `reader` (writes get 403) or `none`."""
        await self._send("PATCH", _path(spreadsheet_id), {"access": access})

    async def remove_spreadsheet(self, spreadsheet_id: str) -> None:
        """Forgets it with all of its rows."""
        await self._delete(_path(spreadsheet_id))

    async def resize(self, spreadsheet_id: str, tab: str, rows: int, columns: int) -> None:
        """Presets the grid's size, as large as Google's limits let it be."""
        size = {"spreadsheetId": spreadsheet_id, "tab": tab, "rows": rows, "columns": columns}
        await self._send("POST", "/simulator/grid", size)

    async def tab(
        self, spreadsheet_id: str, tab: str = "", *, render: str = "UNFORMATTED_VALUE"
    ) -> TabRows:
        """All rows of a tab (the first one without a name). Raises HTTPStatusError 404."""
        query = {"spreadsheetId": spreadsheet_id, "tab": tab, "valueRenderOption": render}
        found = await self._get("/simulator/rows", query)
        return TabRows(
            title=found["title"],
            rows=found["rows"],
            columns=found["columns"],
            hidden_columns=tuple(found["hiddenColumns"]),
            values=found["values"],
        )

    async def row_count(self, spreadsheet_id: str, tab: str) -> int:
        """How far down a tab has values, its header counted; 0 where there is no such tab."""
        return next(
            (
                int(each["lastRow"])
                for book in await self.spreadsheets()
                if book["id"] == spreadsheet_id
                for each in book["tabs"]
                if each["title"] == tab
            ),
            0,
        )

    async def wait_for_rows(
        self, spreadsheet_id: str, tab: str, count: int, seconds: float = 30.0
    ) -> TabRows:
        """The tab once it has `count` rows, its header counted, too. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            found = await self.row_count(spreadsheet_id, tab)
            if found >= count:
                return await self.tab(spreadsheet_id, tab)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found} of {count} rows came within {seconds:g} s")
            await asyncio.sleep(POLL_SECONDS)

    async def calls(
        self, *, since: int = 0, method: str | None = None, outcome: str | None = None
    ) -> list[dict[str, Any]]:
        """Every call with its outcome; `method` as `values.append`."""
        query: dict[str, str | int] = {"since": since}
        if method is not None:
            query["method"] = method
        if outcome is not None:
            query["outcome"] = outcome
        return [item async for item in self._pages("/simulator/calls", query, None)]

    async def fail_next(
        self, kind: str, *, times: int = 1, match: Mapping[str, object] | None = None
    ) -> str:
        """The next matching calls get an error of that kind. Returns the rule's id."""
        rule = {"times": times, "match": match or {}, "action": {"error": {"kind": kind}}}
        (added,) = await self.add_rules(rule)
        return str(added["id"])

    async def set_quota(self, **limits: float | None) -> None:
        """`readsPerProject`, `readsPerUser`, `writesPerProject`, `writesPerUser`,
        `windowSeconds`; what is left out is as Google has it."""
        await self._send("PUT", "/simulator/quota", limits)

    async def remove_quota(self) -> None:
        await self._delete("/simulator/quota")

    async def credentials(self) -> dict[str, dict[str, str]]:
        """The `serviceAccount` and the `authorizedUser` JSON for this simulator."""
        return await self._get("/simulator/credentials")

    async def revoke(self, email: str = "", *, revoked: bool = True) -> None:
        """`invalid_grant` and 401 for the account from now on, or no more."""
        await self._send("POST", "/simulator/accounts", {"email": email, "revoked": revoked})

    async def expire_tokens(self) -> int:
        """All tokens given so far get 401; new ones can be had. How many there were."""
        answer = await self._send("POST", "/simulator/accounts", {"expireTokens": True})
        return int(answer["expiredTokens"])

    async def _send(self, verb: str, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        answer = await self._http.request(verb, path, json=dict(body))
        raise_with_reason(answer)
        found: dict[str, Any] = answer.json()
        return found


def _path(spreadsheet_id: str) -> str:
    return f"/simulator/spreadsheets/{quote(spreadsheet_id, safe='')}"
