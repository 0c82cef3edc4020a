"""Rules and the control API of the Sheets simulator: faults that happened, rows read back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from mirsal_testing.simulators.sheets import SheetsSimulator, SheetsSimulatorClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APPEND = "/v4/spreadsheets/b/values/Leads!A1:append"
RAW = {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS"}


@pytest_asyncio.fixture
async def sheets() -> AsyncIterator[SheetsSimulator]:
    async with SheetsSimulator(tokens=["T"], seed=7) as simulator:
        yield simulator


@pytest_asyncio.fixture
async def client(sheets: SheetsSimulator) -> AsyncIterator[SheetsSimulatorClient]:
    async with SheetsSimulatorClient(sheets.url) as client:
        await client.add_spreadsheet("b", [{"title": "Leads", "rows": 10, "columns": 3}])
        yield client


@pytest_asyncio.fixture
async def http(sheets: SheetsSimulator) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": "Bearer T"}
    async with httpx.AsyncClient(
        base_url=sheets.url, headers=headers, timeout=10, trust_env=False
    ) as client:
        yield client


async def append(http: httpx.AsyncClient, *values: object) -> httpx.Response:
    return await http.post(APPEND, params=RAW, json={"values": [list(values)]})


async def rows(client: SheetsSimulatorClient) -> list[list[Any]]:
    return (await client.tab("b", "Leads")).values


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("rateLimited", 429, "RESOURCE_EXHAUSTED"),
        ("internal", 500, "INTERNAL"),
        ("badGateway", 502, "UNAVAILABLE"),
        ("unavailable", 503, "UNAVAILABLE"),
        ("deadlineExceeded", 504, "DEADLINE_EXCEEDED"),
        ("notFound", 404, "NOT_FOUND"),
        ("permissionDenied", 403, "PERMISSION_DENIED"),
        ("unauthenticated", 401, "UNAUTHENTICATED"),
        ("tooManyCells", 400, "INVALID_ARGUMENT"),
        ("tooLargeBody", 400, "INVALID_ARGUMENT"),
    ],
)
async def test_the_next_calls_fail_as_told(
    client: SheetsSimulatorClient, http: httpx.AsyncClient, kind: str, code: int, status: str
) -> None:
    await client.fail_next(kind, times=2, match={"call": "values.append"})
    assert (await http.get("/v4/spreadsheets/b")).is_success
    answers = [await append(http, n) for n in range(3)]
    assert [answer.status_code for answer in answers] == [code, code, 200]
    error = answers[0].json()["error"]
    assert (error["code"], error["status"]) == (code, status)
    assert await rows(client) == [[2]]
    (rule,) = await client.rules()
    assert rule["applied"] == 2


async def test_an_error_may_come_after_the_write(
    client: SheetsSimulatorClient, http: httpx.AsyncClient
) -> None:
    error = {"kind": "unavailable", "message": "Later.", "retryAfter": 3}
    await client.add_rules({"times": 1, "action": {"error": error, "accept": True}})
    answer = await append(http, "x")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert answer.json()["error"]["message"] == "Later."
    assert await rows(client) == [["x"]]


async def test_a_429_names_the_limit_it_was_told_to(
    client: SheetsSimulatorClient, http: httpx.AsyncClient
) -> None:
    error = {"kind": "rateLimited", "limit": 1000, "per": "project"}
    await client.add_rules({"times": 1, "action": {"error": error}})
    metadata = (await append(http, "x")).json()["error"]["details"][0]["metadata"]
    assert metadata["quota_limit"] == "WriteRequestsPerMinutePerProject"
    assert metadata["quota_limit_value"] == "1000"


@pytest.mark.parametrize(
    ("when", "reset", "expected"),
    [("before", False, []), ("after", False, [["x"]]), ("after", True, [["x"]]),
     ("midway", False, [["x"]])],
)  # fmt: skip
async def test_a_lost_answer_says_nothing_about_the_write(
    client: SheetsSimulatorClient,
    sheets: SheetsSimulator,
    http: httpx.AsyncClient,
    when: str,
    *,
    reset: bool,
    expected: list[list[str]],
) -> None:
    sheets.drop_next(when, reset=reset, match={"call": "write"})
    with pytest.raises(httpx.TransportError):
        await append(http, "x")
    assert await rows(client) == expected
    (call,) = await client.calls(method="values.append")
    assert (call["outcome"], call["applied"]) == ("dropped", bool(expected))


async def test_a_share_of_calls_fails_the_same_way_with_the_same_seed() -> None:
    async def outcomes() -> list[int]:
        async with SheetsSimulator(tokens=["T"], makes_spreadsheets=True, seed=3) as simulator:
            simulator.rules.add({"match": {"probability": 0.3}, "action": {"error": {"code": 503}}})
            headers = {"Authorization": "Bearer T"}
            async with httpx.AsyncClient(headers=headers, trust_env=False) as http:
                url = f"{simulator.url}/v4/spreadsheets/b"
                return [(await http.get(url)).status_code for _ in range(60)]

    first = await outcomes()
    assert first == await outcomes()
    assert 5 <= first.count(503) <= 35


async def test_a_call_can_be_late_or_hang_and_counts_on_arrival(
    client: SheetsSimulatorClient, http: httpx.AsyncClient
) -> None:
    await client.add_rules(
        {"times": 1, "action": {"hang": True, "accept": True}},
        {"times": 1, "match": {"tab": "Leads"}, "action": {"delayMs": 1}},
        {"times": 1, "match": {"spreadsheetId": "other"}, "action": {"hang": True}},
    )
    with pytest.raises(httpx.ReadTimeout):
        await http.post(APPEND, params=RAW, json={"values": [["hung"]]}, timeout=0.3)
    assert (await append(http, "late")).is_success
    assert await rows(client) == [["hung"], ["late"]]
    assert [rule["applied"] for rule in await client.rules()] == [1, 1, 0]


async def test_the_token_endpoint_fails_when_told_to(
    client: SheetsSimulatorClient, http: httpx.AsyncClient
) -> None:
    person = (await client.credentials())["authorizedUser"]
    form = {name: person[name] for name in ("client_id", "client_secret", "refresh_token")}
    form["grant_type"] = "refresh_token"
    await client.add_rules({"times": 1, "action": {"error": {"code": 500}}})
    await client.fail_next("invalidGrant", match={"call": "token"})
    refused = await http.post("/token", data=form)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await http.post("/token", data=form)).is_success
    (token_call, *_) = await client.calls(method="token")
    async with httpx.AsyncClient(trust_env=False) as plain:
        page = await plain.get(f"{client.url}/simulator/calls?fields=body")
    assert page.json()["items"][0] == {"body": "***"}
    assert token_call["outcome"] == "error"


@pytest.mark.parametrize(
    "rule",
    [
        {"action": {}},
        {"action": {"error": {}}},
        {"action": {"error": {"kind": "unavailable", "code": 500}}},
        {"action": {"error": {"kind": "gone"}}},
        {"action": {"error": {"kind": "invalidGrant"}}},
        {"action": {"drop": "after", "accept": True}},
        {"action": {"drop": "after", "status": 500}},
        {"action": {"delayMs": 5, "reset": True}},
        {"match": {"call": "values.paint"}, "action": {"delayMs": 5}},
    ],
)
async def test_rules_that_make_no_sense_are_refused(
    client: SheetsSimulatorClient, rule: dict[str, object]
) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        await client.add_rules(rule)
    assert await client.rules() == []


async def test_a_tab_is_read_back_whole(
    client: SheetsSimulatorClient, http: httpx.AsyncClient
) -> None:
    await append(http, "الاسم", "n")
    await append(http, "سارة", 5)
    await append(http, "ليلى")
    tab = await client.wait_for_rows("b", "Leads", 3)
    assert tab.records() == [{"الاسم": "سارة", "n": 5}, {"الاسم": "ليلى", "n": ""}]
    assert (tab.rows, tab.columns) == (13, 3)
    with pytest.raises(TimeoutError, match="3 of 9 rows"):
        await client.wait_for_rows("b", "Leads", 9, seconds=0.01)
    shown = await client.tab("b", "Leads", render="FORMATTED_VALUE")
    assert shown.values[1] == ["سارة", "5"]
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await client.tab("b", "Nope")


async def test_writes_and_reads_are_counted_apart(
    client: SheetsSimulatorClient, http: httpx.AsyncClient, sheets: SheetsSimulator
) -> None:
    await append(http, "x")
    await http.post(APPEND, params=RAW, json={"values": [["y"], ["z"]]})
    await http.get("/v4/spreadsheets/b/values/Leads")
    sheets.drop_next("after")
    with pytest.raises(httpx.TransportError):
        await append(http, "lost answer")
    await client.fail_next("unavailable")
    await append(http, "never")
    summary = await client.summary()
    assert (summary["writes"], summary["reads"], summary["rows"]) == (3, 1, 4)
    assert summary["applied"] == {"values.append": 3, "values.get": 1}
    assert summary["outcomes"] == {"accepted": 3, "dropped": 1, "error": 1}
    assert (sheets.record.writes, sheets.record.reads) == (3, 1)
    await client.reset()
    assert (await client.summary())["calls"] == 0
    assert len(await rows(client)) == 4


async def test_spreadsheets_are_taken_away_from_outside(
    client: SheetsSimulatorClient, http: httpx.AsyncClient
) -> None:
    await client.resize("b", "Leads", 2_500_000, 4)
    assert (await client.spreadsheet("b"))["cells"] == 10_000_000
    full = await append(http, "x")
    assert "limit of 10000000 cells" in full.json()["error"]["message"]
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        await client.resize("b", "Leads", 2_500_001, 4)
    await client.resize("b", "Leads", 5, 2)
    assert (await append(http, "x")).is_success
    await client.set_access("b", "reader")
    assert (await append(http, "x")).status_code == 403
    await client.set_access("b", "writer")
    await client.delete_spreadsheet("b")
    assert (await append(http, "x")).status_code == 404
    await client.delete_spreadsheet("b", deleted=False)
    assert (await append(http, "y")).is_success
    await client.set_quota(writesPerUser=0)
    assert (await append(http, "x")).status_code == 429
    await client.remove_quota()
    assert await rows(client) == [["x"], ["y"]]
    await client.remove_spreadsheet("b")
    assert await client.spreadsheets() == []


async def test_the_account_is_revoked_and_tokens_end(
    client: SheetsSimulatorClient, sheets: SheetsSimulator, http: httpx.AsyncClient
) -> None:
    person = sheets.authorized_user_info
    form = {name: person[name] for name in ("client_id", "client_secret", "refresh_token")}
    form["grant_type"] = "refresh_token"

    async def read() -> int:
        token = (await http.post("/token", data=form)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert (await http.get("/v4/spreadsheets/b", headers=headers)).is_success
        await client.expire_tokens()
        return (await http.get("/v4/spreadsheets/b", headers=headers)).status_code

    assert await read() == 401
    await client.revoke(sheets.person.email)
    assert (await http.post("/token", data=form)).json()["error"] == "invalid_grant"
    await client.revoke(sheets.person.email, revoked=False)
    assert await read() == 401


async def test_pages_show_rows_in_their_own_direction(
    client: SheetsSimulatorClient, http: httpx.AsyncClient
) -> None:
    await append(http, "الاسم", "<b>n</b>", "key")
    for number in range(600):
        await append(http, f"سارة {number}", number, "hidden key")
    hide = {"updateDimensionProperties": {
        "range": {"sheetId": 0, "dimension": "COLUMNS", "startIndex": 2, "endIndex": 3},
        "properties": {"hiddenByUser": True}, "fields": "hiddenByUser"}}  # fmt: skip
    done = await http.post("/v4/spreadsheets/b:batchUpdate", json={"requests": [hide]})
    assert done.is_success
    listed = (await http.get("/")).text
    assert "Leads" in listed
    assert "601 rows" in listed
    page = (await http.get("/spreadsheets/b")).text
    assert '<table dir="rtl">' in page
    assert '<td dir="auto">سارة 599</td>' in page
    assert ("سارة 100<" in page, "سارة 99<" in page) == (True, False)
    assert "page=1" in page
    assert "الاسم" in page
    assert "&lt;b&gt;n&lt;/b&gt;" in page
    assert "hidden key" not in page
    first = (await http.get("/spreadsheets/b?tab=Leads&page=1")).text
    assert ("سارة 99<" in first, "سارة 499<" in first) == (True, False)
    assert "page=2" in first
    assert "script" not in first
    assert (await http.get("/style.css")).is_success
    assert (await http.get("/spreadsheets/nope")).status_code == 404
    assert await client.is_healthy()


async def test_many_writers_at_once_lose_nothing(
    client: SheetsSimulatorClient, http: httpx.AsyncClient
) -> None:
    await asyncio.gather(*(append(http, n) for n in range(100)))
    assert sorted(row[0] for row in await rows(client)) == list(range(100))
