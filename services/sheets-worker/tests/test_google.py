"""Google's API in threads: what an end without an answer proves, and whose credentials it takes."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    RetryableError,
)
from mirsal_runtime.plaintext import PlaintextRefused
from mirsal_testing.simulators.sheets import SheetsSimulator
from pydantic_settings import BaseSettings
from sheets_worker.credentials import CredentialsFile
from sheets_worker.errors import CallKind, Code
from sheets_worker.google import SheetsApi, open_sheets_api
from sheets_worker.settings import BigQuerySettings, GoogleSettings, SheetsSettings

ID = "1Bx"


@pytest.fixture
async def google() -> AsyncIterator[SheetsSimulator]:
    """A Google of this test's, with a spreadsheet."""
    async with SheetsSimulator() as simulator:
        simulator.add_spreadsheet(ID)
        yield simulator


@pytest.fixture
def credentials(google: SheetsSimulator, tmp_path: Path) -> Path:
    """The file of a service account."""
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(google.service_account_info), "utf-8")
    return path


def put(path: Path, content: bytes | None) -> None:
    """Another file takes the place of the mounted one; or none."""
    path.unlink()
    if content is not None:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(path)


@asynccontextmanager
async def open_api(url: str, credentials: Path | None, **more: Any) -> AsyncIterator[SheetsApi]:
    """The API as settings describe it."""
    settings = SheetsSettings(base_url=url, answer_seconds=1.0, connect_seconds=0.5, **more)
    async with open_sheets_api(settings, CredentialsFile(credentials)) as api:
        yield api


async def write(api: SheetsApi, **more: Any) -> Any:
    return await api.call(
        "write",
        lambda client: client.values_update(
            ID, "A1", {"valueInputOption": "RAW"}, {"values": [["مرحباً"]]}
        ),
        **more,
    )


async def read(api: SheetsApi) -> Any:
    return await api.call("read", lambda client: client.values_get(ID, "A1"))


async def failure_of_call(call: Any) -> AttemptFailure:
    with pytest.raises(AttemptFailure) as failed:
        await call
    return failed.value


async def test_a_call_carries_its_trace_and_goes_out_once(
    google: SheetsSimulator, credentials: Path
) -> None:
    async with open_api(google.url, credentials) as api:
        answer = await write(api, traces=["00-" + "1" * 32 + "-" + "2" * 16 + "-01"])
        assert answer["updatedCells"] == 1
        assert (await read(api))["values"] == [["مرحباً"]]
    assert [call.method for call in google.calls] == ["token", "values.update", "values.get"]


@pytest.mark.parametrize("when", ["before", "after", "midway"])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_lost_answer_is_unknown_to_a_write_and_nothing_to_a_read(
    google: SheetsSimulator, credentials: Path, when: str, reset: bool
) -> None:
    async with open_api(google.url, credentials) as api:
        await read(api)
        for call, kind in ((write, OutcomeUnknown), (read, RetryableError)):
            google.drop_next(when, reset=reset, match={"call": ["read", "write"]})
            before = len(google.calls)
            assert isinstance(await failure_of_call(call(api)), kind)
            assert len(google.calls) == before + 1, "nothing is sent twice"


async def test_an_answer_that_takes_too_long(google: SheetsSimulator, credentials: Path) -> None:
    google.rules.add({"match": {"call": "write"}, "action": {"hang": True}})
    async with open_api(google.url, credentials) as api:
        assert (await failure_of_call(write(api))).code == Code.NO_ANSWER


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("MIRSAL_SHEETS_BASE_URL", SheetsSettings),
        ("MIRSAL_BIGQUERY_BASE_URL", BigQuerySettings),
        ("MIRSAL_GOOGLE_TOKEN_URL", GoogleSettings),
    ],
)
def test_nothing_leaves_this_machine_in_plain_text_but_by_a_word(
    monkeypatch: pytest.MonkeyPatch, name: str, settings: type[BaseSettings]
) -> None:
    monkeypatch.setenv(name, "http://proxy.example")
    with pytest.raises(PlaintextRefused, match=name):
        settings()
    monkeypatch.setenv("MIRSAL_ALLOW_PLAINTEXT", "true")
    assert settings().model_dump()["allow_plaintext"]


async def test_who_is_not_there_was_surely_not_asked(
    google: SheetsSimulator, credentials: Path, unused_tcp_port: int
) -> None:
    for url in (f"http://127.0.0.1:{unused_tcp_port}", "https://sheets.invalid"):
        async with open_api(url, credentials) as api:
            failure = await failure_of_call(write(api))
            assert isinstance(failure, RetryableError)
            assert failure.code == Code.UNAVAILABLE


async def test_a_connection_that_takes_too_long_was_surely_not_asked(credentials: Path) -> None:
    # A listener whose queue is full: the kernel leaves further connections unanswered.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        async with open_api(f"http://127.0.0.1:{port}", credentials) as api:
            assert isinstance(await failure_of_call(write(api)), RetryableError)
        for each in waiting:
            each.close()


async def test_a_redirect_is_not_followed(google: SheetsSimulator, credentials: Path) -> None:
    google.rules.add({"match": {"call": "write"}, "action": {"status": 307}})
    async with open_api(google.url, credentials) as api:
        assert isinstance(await failure_of_call(write(api)), ActionRequired)
    assert len([call for call in google.calls if call.method != "token"]) == 1


@pytest.mark.parametrize(("kind", "failure"), [("write", OutcomeUnknown), ("read", RetryableError)])
async def test_an_answer_without_sense(
    google: SheetsSimulator, credentials: Path, kind: CallKind, failure: type[AttemptFailure]
) -> None:
    action = {"status": 200, "body": "<html>"}
    google.rules.add({"match": {"call": ["read", "write"]}, "action": action})
    async with open_api(google.url, credentials) as api:
        call = write(api) if kind == "write" else read(api)
        assert isinstance(await failure_of_call(call), failure)


async def test_a_call_that_would_begin_too_late_does_not(
    google: SheetsSimulator, credentials: Path
) -> None:
    async with open_api(google.url, credentials) as api:
        await read(api)
        failure = await failure_of_call(write(api, not_after=time.monotonic() - 0.1))
    assert isinstance(failure, RetryableError)
    assert google.record.writes == 0


async def test_an_expired_token_is_renewed(google: SheetsSimulator, credentials: Path) -> None:
    async with open_api(google.url, credentials) as api:
        await write(api)
        google.tokens.expire_tokens()
        await write(api)
    assert google.record.writes == 2


async def test_a_users_refresh_token(google: SheetsSimulator, credentials: Path) -> None:
    put(credentials, json.dumps(google.authorized_user_info).encode())
    async with open_api(google.url, credentials) as api:
        await write(api)
        account, user = await api.find_identity()
        assert account
        assert google.authorized_user_info["refresh_token"] not in (account, user)


async def test_revoked_credentials_wait_for_a_person_and_new_ones_are_taken_up(
    google: SheetsSimulator, credentials: Path
) -> None:
    async with open_api(google.url, credentials) as api:
        await write(api)
        google.tokens.revoke(google.account.email)
        failure = await failure_of_call(write(api))
        assert isinstance(failure, ActionRequired)
        assert failure.code == Code.CREDENTIALS
        put(credentials, json.dumps(google.authorized_user_info).encode())
        await write(api)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"{",
        b"[]",
        b'{"type": "external_account"}',
        b'{"type": "service_account"}',
        b'{"type": "authorized_user", "refresh_token": "s3cr3t"}',
        b"\xff\xfe",
    ],
)
async def test_files_that_are_no_credentials(
    google: SheetsSimulator, credentials: Path, content: bytes | None
) -> None:
    put(credentials, content)
    async with open_api(google.url, credentials) as api:
        failure = await failure_of_call(write(api))
    assert isinstance(failure, ActionRequired)
    assert failure.code == Code.CREDENTIALS
    assert "s3cr3t" not in str(failure)


async def test_without_a_file_work_waits_for_one(google: SheetsSimulator) -> None:
    async with open_api(google.url, None) as api:
        assert (await failure_of_call(write(api))).code == Code.CREDENTIALS


async def test_calls_share_a_few_threads(google: SheetsSimulator, credentials: Path) -> None:
    google.rules.add({"match": {"call": "read"}, "action": {"delayMs": 50}})
    async with open_api(google.url, credentials, threads=3) as api:
        answers = await asyncio.gather(*(read(api) for _ in range(12)))
    assert len(answers) == 12
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("sheets-")]
    assert len(names) <= 3


async def test_a_call_whose_token_takes_too_long_does_not_begin(
    google: SheetsSimulator, credentials: Path
) -> None:
    google.rules.add({"match": {"call": "token"}, "action": {"delayMs": 400}})
    async with open_api(google.url, credentials) as api:
        failure = await failure_of_call(write(api, not_after=time.monotonic() + 0.1))
    assert isinstance(failure, RetryableError)
    assert google.record.writes == 0
