"""Answers without end, of Sheets, BigQuery and where tokens come from: read to the bound."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from mirsal_runtime.failures import AttemptFailure, OutcomeUnknown, RetryableError, ThrottledError
from mirsal_testing.simulators.sheets import SheetsSimulator
from sheets_worker.bigquery.client import BigQueryClient
from sheets_worker.bounded_answers import ANSWER_BYTES
from sheets_worker.credentials import CredentialsFile
from sheets_worker.google import SheetsApi, open_sheets_api
from sheets_worker.settings import BigQuerySettings, SheetsSettings

PART = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))


class Endless:
    """A server that reads a request and answers for ever, with this status."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""
        self.sent = 0
        self.hung_up = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {self.status} So\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        with suppress(ConnectionError):
            while True:
                writer.write(PART)
                await writer.drain()
                self.sent += 1 << 20
        self.hung_up.set()
        writer.close()


@pytest.fixture
async def endless() -> AsyncIterator[Endless]:
    found = Endless()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    found.url = f"http://{host}:{port}"
    yield found
    server.close()
    await server.wait_closed()


async def failure_of(endless: Endless, call: Any) -> AttemptFailure:
    """How the call failed, once the server has seen that nobody listens any more."""
    with pytest.raises(AttemptFailure) as failed:
        await call
    async with asyncio.timeout(5):
        await endless.hung_up.wait()
    assert ANSWER_BYTES / 2 < endless.sent < 2 * ANSWER_BYTES
    return failed.value


def info_file(folder: Path, info: dict[str, Any]) -> Path:
    path = folder / "credentials.json"
    path.write_text(json.dumps(info), "utf-8")
    return path


async def write(api: SheetsApi) -> Any:
    return await api.call(
        "write", lambda client: client.values_update("1Bx", "A1", {}, {"values": [["x"]]})
    )


@pytest.mark.parametrize("status", [200, 400, 503])
async def test_a_write_that_is_answered_without_end_may_have_happened(
    endless: Endless, tmp_path: Path, status: int
) -> None:
    endless.status = status
    async with SheetsSimulator() as google:
        credentials = CredentialsFile(info_file(tmp_path, google.service_account_info))
        async with open_sheets_api(SheetsSettings(base_url=endless.url), credentials) as api:
            failure = await failure_of(endless, write(api))
    assert isinstance(failure, OutcomeUnknown)


async def test_a_read_that_is_answered_without_end_is_tried_again(
    endless: Endless, tmp_path: Path
) -> None:
    async with SheetsSimulator() as google:
        credentials = CredentialsFile(info_file(tmp_path, google.service_account_info))
        async with open_sheets_api(SheetsSettings(base_url=endless.url), credentials) as api:
            asked = api.call("read", lambda client: client.values_get("1Bx", "A1"))
            failure = await failure_of(endless, asked)
    assert isinstance(failure, RetryableError)


async def test_a_token_without_end_had_no_effect(endless: Endless, tmp_path: Path) -> None:
    async with SheetsSimulator() as google:
        info = {**google.service_account_info, "token_uri": f"{endless.url}/token"}
        credentials = CredentialsFile(info_file(tmp_path, info))
        async with open_sheets_api(SheetsSettings(base_url=google.url), credentials) as api:
            failure = await failure_of(endless, write(api))
        assert google.record.writes == 0
    assert isinstance(failure, RetryableError)


@pytest.mark.parametrize("status", [200, 503])
async def test_bigquery_that_answers_without_end_may_have_stored(
    endless: Endless, status: int
) -> None:
    endless.status = status
    credentials = AnonymousCredentials()
    settings = BigQuerySettings(base_url=endless.url, project="p")
    client = BigQueryClient(settings, lambda: credentials)
    try:
        insert = client.insert("p.d.t", [{"a": "b"}], ["1"])
        assert isinstance(await failure_of(endless, insert), OutcomeUnknown)
    finally:
        client.close()


async def test_a_question_to_bigquery_that_is_answered_without_end(endless: Endless) -> None:
    credentials = AnonymousCredentials()
    client = BigQueryClient(
        BigQuerySettings(base_url=endless.url, project="p"), lambda: credentials
    )
    try:
        failure = await failure_of(endless, client.find_table("p.d.t"))
        assert isinstance(failure, ThrottledError)
    finally:
        client.close()
