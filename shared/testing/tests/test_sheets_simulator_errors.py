"""Every refusal of the Sheets simulator, in Google's words and JSON shape, as gspread gets it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from google.auth import crypt, jwt
from google.auth.exceptions import RefreshError
from gspread.exceptions import APIError
from mirsal_testing.simulators.sheets import QuotaLimits, SheetsSimulator, TabSpec
from mirsal_testing.simulators.sheets.accounts import ServiceAccount
from mirsal_testing.simulators.sheets.gspread_client import connect_gspread
from mirsal_testing.simulators.sheets.tokens import JWT_GRANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BOOK = "/v4/spreadsheets/b"
RAW = {"valueInputOption": "RAW"}
PREFIX = "Invalid requests[0]."


@pytest_asyncio.fixture
async def sheets() -> AsyncIterator[SheetsSimulator]:
    async with SheetsSimulator(tokens=["T"]) as simulator:
        tabs = [TabSpec(title="Leads", rows=10, columns=5), TabSpec(title="عملاء جدد")]
        simulator.add_spreadsheet("b", tabs)
        yield simulator


@pytest_asyncio.fixture
async def http(sheets: SheetsSimulator) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": "Bearer T"}
    async with httpx.AsyncClient(
        base_url=sheets.url, headers=headers, timeout=10, trust_env=False
    ) as client:
        yield client


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == answer.status_code
    return error


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("Nope!A1", "Unable to parse range: Nope!A1"),
        ("Nope", "Unable to parse range: Nope"),
        ("Leads!A", "Unable to parse range: Leads!A"),
        ("Leads!A11", "Range (Leads!A11) exceeds grid limits. Max rows: 10, max columns: 5"),
        ("Leads!F1:G2", "Range (Leads!F1:G2) exceeds grid limits. Max rows: 10, max columns: 5"),
        ("عملاء جدد!A1001:B",
         "Range ('عملاء جدد'!A1001:B1001) exceeds grid limits. Max rows: 1000, max columns: 26"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["GET", "PUT", "POST append", "POST clear"])
async def test_ranges_that_are_not_there(
    http: httpx.AsyncClient, verb: str, cells: str, message: str
) -> None:
    method, _, action = verb.partition(" ")
    path = f"{BOOK}/values/{cells}" + (f":{action}" if action else "")
    writes = method == "PUT" or action == "append"
    answer = await http.request(
        method, path, params=RAW if writes else {}, json={"values": [["x"]]} if writes else None
    )
    assert error_of(answer) == {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}


@pytest.mark.parametrize(
    ("cells", "values", "message"),
    [
        ("Leads!A1:B1", [["1", "2", "3"]],
         "Requested writing within range [Leads!A1:B1], but tried writing to column [C]"),
        ("Leads!A1:B1", [["1"], ["2"]],
         "Requested writing within range [Leads!A1:B1], but tried writing to row [2]"),
        ("Leads!E10", [["1", "2"]],
         "Range (Leads!E10:F10) exceeds grid limits. Max rows: 10, max columns: 5"),
        ("Leads!A1", [["x" * 50_001]],
         "Your input contains more than the maximum of 50000 characters in a single cell."),
        ("Leads!A1", [[["nested"]]], "Invalid values[0][0]: list_value {}"),
        ("Leads!A1", ["flat"],
         "Invalid value at 'data.values' (type.googleapis.com/google.protobuf.ListValue)"),
    ],
)  # fmt: skip
async def test_values_that_do_not_fit(
    http: httpx.AsyncClient, sheets: SheetsSimulator, cells: str, values: object, message: str
) -> None:
    answer = await http.put(f"{BOOK}/values/{cells}", params=RAW, json={"values": values})
    assert error_of(answer)["message"] == message
    assert sheets.record.writes == 0


async def test_options_and_members_that_google_does_not_know(http: httpx.AsyncClient) -> None:
    path = f"{BOOK}/values/Leads!A1"
    cases = (
        (await http.put(path, json={}), "'valueInputOption' is required but not specified"),
        (await http.put(path, params={"valueInputOption": "COOKED"}, json={}),
         "Invalid value at 'value_input_option' (TYPE_ENUM), \"COOKED\""),
        (await http.put(path, params={**RAW, "rows": "1"}, json={}),
         'Invalid JSON payload received. Unknown name "rows": Cannot bind query parameter. '
         "Field 'rows' could not be found in request message."),
        (await http.put(path, params=RAW, json={"value": []}),
         'Invalid JSON payload received. Unknown name "value": Cannot find field.'),
        (await http.put(path, params=RAW, json=[]),
         'Invalid JSON payload received. Unknown name "": Root element must be a message.'),
        (await http.get(path, params={"majorDimension": "DIAGONALS"}),
         "Invalid value at 'major_dimension' (TYPE_ENUM), \"DIAGONALS\""),
    )  # fmt: skip
    for answer, message in cases:
        assert (answer.status_code, error_of(answer)["message"]) == (400, message)
    broken = await http.put(path, params=RAW, content=b"{")
    assert error_of(broken)["message"].startswith("Invalid JSON payload received.")
    assert (await http.delete(BOOK)).status_code == 404
    unknown = await http.get(BOOK, params={"fields": "sheets.proprties"})
    assert error_of(unknown)["message"] == "Request contains an invalid argument."
    assert "'proprties'" in str(error_of(unknown)["details"])


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        ({"paint": {}}, 400,
         'Invalid JSON payload received. Unknown name "paint" at \'requests[0]\': '
         "Cannot find field."),
        ({"addSheet": {"title": "x"}}, 400,
         'Invalid JSON payload received. Unknown name "title" at \'requests[0].addSheet\': '
         "Cannot find field."),
        ({"addSheet": {"properties": {"title": "leads"}}}, 400,
         PREFIX + 'addSheet: A sheet with the name "leads" already exists. '
         "Please enter another name."),
        ({"addSheet": {"properties": {"gridProperties": {"rowCount": 1, "columnCount": 18279}}}},
         400, PREFIX + "addSheet: This action would increase the number of columns in the sheet "
         "above the limit of 18278 columns."),
        ({"deleteSheet": {"sheetId": 5}}, 400, PREFIX + "deleteSheet: No sheet with id: 5"),
        ({"repeatCell": {"range": {"sheetId": 5}, "cell": {}, "fields": "*"}}, 400,
         PREFIX + "repeatCell: No grid with id: 5"),
        ({"updateSheetProperties": {"properties": {"sheetId": 0}}}, 400,
         PREFIX + "updateSheetProperties: At least one field must be listed in 'fields'. "
         "(Use '*' to indicate all fields.)"),
        ({"deleteDimension": {"range": {"sheetId": 0, "dimension": "ROWS"}}}, 400,
         PREFIX + "deleteDimension: You can't delete all the rows on the sheet."),
        ({"deleteDimension": {"range": {"sheetId": 0, "dimension": "ROWS", "startIndex": 10,
                                        "endIndex": 11}}}, 400,
         PREFIX + "deleteDimension: Cannot delete a row that doesn't exist. Tried to delete row "
         "index 10 but there are only 10 rows."),
        ({"appendCells": {"sheetId": 0, "fields": "*", "rows": [{"values": [{}] * 6}]}}, 400,
         PREFIX + "appendCells: Attempting to write column: 5, beyond the last requested column "
         "of: 4"),
        ({"updateCells": {"fields": "*", "rows": [{}], "range": {
            "sheetId": 0, "startRowIndex": 10, "endRowIndex": 11, "endColumnIndex": 3}}}, 400,
         PREFIX + "updateCells: Range (Leads!A11:C11) exceeds grid limits. Max rows: 10, "
         "max columns: 5"),
        ({"updateCells": {"fields": "*", "rows": [{}] * 2, "start": {"rowIndex": 9}}}, 400,
         PREFIX + "updateCells: Attempting to write row: 10, beyond the last requested row of: 9"),
        ({"sortRange": {}}, 501, "The Sheets simulator of Mirsal does not know sortRange."),
        ({}, 400, "Invalid requests[0]: No request set."),
        ({"addSheet": {}, "deleteSheet": {}}, 400,
         "Invalid value at 'requests[0]' (oneof), oneof field 'kind' is already set. "
         "Cannot set 'deleteSheet'"),
    ],
)  # fmt: skip
async def test_requests_of_a_batch_that_are_wrong(
    http: httpx.AsyncClient, request_: dict[str, object], code: int, message: str
) -> None:
    answer = await http.post(f"{BOOK}:batchUpdate", json={"requests": [request_]})
    assert (answer.status_code, error_of(answer)["message"]) == (code, message)


async def test_a_workbook_is_full_at_ten_million_cells(
    http: httpx.AsyncClient, sheets: SheetsSimulator
) -> None:
    sheets.add_spreadsheet("full", [TabSpec(title="T", rows=999_999, columns=10, values=[["h"]])])
    append = "/v4/spreadsheets/full/values/T!A1:append"
    query = {**RAW, "insertDataOption": "INSERT_ROWS"}
    text = (
        "This action would increase the number of cells in the workbook above the limit of "
        "10000000 cells."
    )
    two = await http.post(append, params=query, json={"values": [["1"], ["2"]]})
    assert error_of(two) == {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}
    one = await http.post(append, params=query, json={"values": [["1"]]})
    assert one.json()["updates"]["updatedRange"] == "T!A2"
    again = await http.post(append, params=query, json={"values": [["2"]]})
    assert error_of(again)["message"] == text
    # There are empty rows, and what needs none inserted still goes in.
    over = await http.post(append, params=RAW, json={"values": [["2"]]})
    assert over.json()["updates"]["updatedRange"] == "T!A3"
    add = {"requests": [{"addSheet": {"properties": {"title": "x"}}}]}
    more = await http.post("/v4/spreadsheets/full:batchUpdate", json=add)
    assert error_of(more)["message"] == f"{PREFIX}addSheet: {text}"
    book = sheets.library.find("full")
    assert book is not None
    assert (book.cell_count, book.tabs[0].last_row + 1) == (10_000_000, 3)


async def test_a_body_over_ten_megabytes_is_refused(
    http: httpx.AsyncClient, sheets: SheetsSimulator
) -> None:
    path = f"{BOOK}/values/Leads!A1:append"
    frame = len(b'{"values": [[""]]}')
    for length, text in (
        (10_485_760, "maximum of 50000 characters in a single cell"),
        (10_485_761, "size exceeds the limit: 10485760 bytes"),
    ):
        body = b'{"values": [["' + b"x" * (length - frame) + b'"]]}'
        answer = await http.post(path, params=RAW, content=body)
        assert answer.status_code == 400
        assert text in error_of(answer)["message"]
    assert (await http.get(f"{BOOK}/values/Leads")).json().get("values") is None
    assert [call.outcome for call in sheets.calls] == ["refused", "refused", "accepted"]


async def test_a_spreadsheet_that_is_gone_or_not_allowed(
    http: httpx.AsyncClient, sheets: SheetsSimulator
) -> None:
    gone = {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}
    denied = {
        "code": 403, "message": "The caller does not have permission",
        "status": "PERMISSION_DENIED",
    }  # fmt: skip
    assert error_of(await http.get("/v4/spreadsheets/other")) == gone
    book = sheets.library.find("b")
    assert book is not None

    async def read_and_write() -> list[httpx.Response]:
        path = f"{BOOK}/values/Leads!A1"
        return [await http.get(path), await http.put(path, params=RAW, json={"values": [["x"]]})]

    book.access = "reader"
    read, write = await read_and_write()
    assert read.is_success
    assert error_of(write) == denied
    book.access = "none"
    assert [error_of(answer) for answer in await read_and_write()] == [denied, denied]
    book.deleted = True
    assert [error_of(answer) for answer in await read_and_write()] == [gone, gone]
    book.deleted, book.access = False, "writer"
    assert [answer.is_success for answer in await read_and_write()] == [True, True]


async def test_who_calls_without_a_good_token(
    http: httpx.AsyncClient, sheets: SheetsSimulator
) -> None:
    nobody = await http.get(BOOK, headers={"Authorization": ""})
    assert (nobody.status_code, error_of(nobody)["status"]) == (403, "PERMISSION_DENIED")
    assert error_of(nobody)["message"].startswith("Method doesn't allow unregistered callers")
    wrong = error_of(await http.get(BOOK, headers={"Authorization": "Bearer U"}))
    assert (wrong["code"], wrong["status"]) == (401, "UNAUTHENTICATED")
    assert wrong["message"].startswith("Request had invalid authentication credentials.")
    assert wrong["details"][0]["metadata"]["method"].endswith(".GetSpreadsheet")


async def test_quota_is_for_each_user_and_kind_and_names_its_limit(
    http: httpx.AsyncClient, sheets: SheetsSimulator
) -> None:
    limits = QuotaLimits(writes_per_user=2, reads_per_user=3, reads_per_project=1)
    sheets.quota.set(limits.model_copy(update={"window_seconds": 3600.0}))
    path = f"{BOOK}/values/Leads!A1"
    write = {"params": RAW, "json": {"values": [["x"]]}}
    writes = [await http.put(path, **write) for _ in range(3)]  # type: ignore[arg-type] # httpx's own unions
    reads = [await http.get(path) for _ in range(2)]
    assert [answer.status_code for answer in writes] == [200, 200, 429]
    assert [answer.status_code for answer in reads] == [200, 429]
    by_user, by_project = error_of(writes[2]), error_of(reads[1])
    assert by_user["status"] == "RESOURCE_EXHAUSTED"
    assert by_user["message"] == (
        "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute "
        "per user' of service 'sheets.googleapis.com' for consumer "
        "'project_number:100000000001'."
    )
    info = by_user["details"][0]
    assert (info["@type"], info["reason"]) == (
        "type.googleapis.com/google.rpc.ErrorInfo", "RATE_LIMIT_EXCEEDED",
    )  # fmt: skip
    assert info["metadata"] == {
        "quota_limit": "WriteRequestsPerMinutePerUser",
        "quota_limit_value": "2",
        "quota_location": "global",
        "quota_metric": "sheets.googleapis.com/write_requests",
        "quota_unit": "1/min/{project}/{user}",
        "consumer": "projects/100000000001",
        "service": "sheets.googleapis.com",
    }
    assert by_project["details"][0]["metadata"]["quota_limit"] == "ReadRequestsPerMinutePerProject"
    assert by_project["details"][0]["metadata"]["quota_limit_value"] == "1"


async def test_quota_is_refilled_with_each_window(
    http: httpx.AsyncClient, sheets: SheetsSimulator
) -> None:
    sheets.quota.set(QuotaLimits(reads_per_user=1, window_seconds=0.2))
    statuses: list[int] = []
    while statuses.count(200) < 3:
        statuses.append((await http.get(BOOK)).status_code)
        await asyncio.sleep(0.02)
    assert set(statuses) == {200, 429}


async def test_gspread_meets_a_revoked_account(sheets: SheetsSimulator) -> None:
    def open_book(credentials: dict[str, str]) -> str:
        client = connect_gspread(sheets.url, credentials)
        try:
            return client.open_by_key("b").title
        finally:
            client.http_client.session.close()

    sheets.tokens.revoke(sheets.account.email)
    sheets.tokens.revoke(sheets.person.email)
    for credentials in (sheets.service_account_info, sheets.authorized_user_info):
        with pytest.raises(RefreshError, match="invalid_grant: Token has been expired or revoked"):
            await asyncio.to_thread(open_book, credentials)
    sheets.tokens.restore(sheets.account.email)
    assert await asyncio.to_thread(open_book, sheets.service_account_info) == "Leads"
    other = ServiceAccount.make(sheets.account.email).info(sheets.token_url)
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        await asyncio.to_thread(open_book, other)
    stranger = ServiceAccount.make("stranger@x.example").info(sheets.token_url)
    with pytest.raises(RefreshError, match="account not found"):
        await asyncio.to_thread(open_book, stranger)


async def test_gspread_meets_a_token_that_ran_out(sheets: SheetsSimulator) -> None:
    def work() -> tuple[str, str]:
        client = connect_gspread(sheets.url, sheets.service_account_info)
        try:
            book = client.open_by_key("b")
            sheets.tokens.expire_tokens()
            # google-auth takes a new one by itself after a 401.
            again = book.sheet1.title + str(book.sheet1.acell("A1").value)
            sheets.tokens.revoke(sheets.account.email)
            with pytest.raises((RefreshError, APIError)) as refused:
                book.sheet1.acell("A1")
            return again, str(refused.value)
        finally:
            client.http_client.session.close()

    again, refused = await asyncio.to_thread(work)
    assert again == "LeadsNone"
    assert "invalid_grant" in refused
    statuses = [call.status for call in sheets.calls if call.method != "token"]
    assert statuses.count(401) >= 2


@pytest.mark.parametrize(
    ("claims", "description"),
    [
        ({"aud": "https://other.example/token"}, "Failed audience check"),
        ({"exp": 0}, "short-lived token"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_100}, "short-lived token"),
        ({"scope": "email"}, "Invalid OAuth scope"),
    ],
)
async def test_assertions_that_are_refused(
    http: httpx.AsyncClient, sheets: SheetsSimulator, claims: dict[str, object], description: str
) -> None:
    info = sheets.service_account_info
    signer = crypt.RSASigner.from_service_account_info(info)
    now = int(time.time())
    good = {
        "iss": info["client_email"], "aud": sheets.token_url, "iat": now, "exp": now + 600,
        "scope": "https://www.googleapis.com/auth/spreadsheets",
    }  # fmt: skip
    for payload, status in ((good, 200), ({**good, **claims}, 400)):
        form = {"grant_type": JWT_GRANT, "assertion": jwt.encode(signer, payload).decode()}
        answer = await http.post("/token", data=form)
        assert answer.status_code == status
    assert description in answer.json()["error_description"]


async def test_grants_that_are_none(http: httpx.AsyncClient, sheets: SheetsSimulator) -> None:
    person = sheets.authorized_user_info
    refresh = {name: person[name] for name in ("client_id", "client_secret", "refresh_token")}
    refresh["grant_type"] = "refresh_token"
    cases: tuple[tuple[dict[str, str], int, str], ...] = (
        (refresh, 200, ""),
        ({**refresh, "client_secret": "x"}, 401, "invalid_client"),
        ({**refresh, "client_id": "x"}, 401, "invalid_client"),
        ({**refresh, "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": JWT_GRANT, "assertion": "a.b"}, 400, "invalid_grant"),
        ({"grant_type": JWT_GRANT, "assertion": "a.b.c"}, 400, "invalid_grant"),
    )
    for form, status, error in cases:
        answer = await http.post("/token", data=form)
        assert (answer.status_code, answer.json().get("error", "")) == (status, error)
