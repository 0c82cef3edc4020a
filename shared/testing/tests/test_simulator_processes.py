"""The simulators as processes, as the local stack and the benchmark run them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import aiosmtplib
import httpx
import pytest
from mirsal_testing.servers.processes import find_process
from mirsal_testing.simulators.bigquery import BigQuerySimulatorClient
from mirsal_testing.simulators.control_client import MessageClient
from mirsal_testing.simulators.sheets.gspread_client import connect_gspread
from mirsal_testing.simulators.smtp import InboxClient
from mirsal_testing.simulators.whatsapp import WhatsAppSimulatorClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STOP_SECONDS = 10


@contextmanager
def running(module: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the line in which it says where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"mirsal_testing.simulators.{module}"],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait(STOP_SECONDS)
        process.stdout.close()


def stop(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    return last_words(process)


def last_words(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was not read yet. (`communicate` would lose what a readline buffered.)"""
    code = process.wait(STOP_SECONDS)
    assert process.stdout is not None
    return code, process.stdout.read().strip()


async def test_whatsapp_process_serves_and_stops() -> None:
    with running("whatsapp", MIRSAL_SIMULATOR_WHATSAPP_TOKENS="T,U") as (process, line):
        assert line.startswith("WhatsApp simulator at http://127.0.0.1:")
        url = line.split()[3]
        message = {"messaging_product": "whatsapp", "to": "966501234567", "text": {"body": "سلام"}}
        async with (
            WhatsAppSimulatorClient(url) as simulator,
            httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as client,
        ):
            path = "/v23.0/1/messages"
            for token, status in (("T", 200), ("U", 200), ("V", 401)):
                headers = {"Authorization": f"Bearer {token}"}
                answer = await client.post(path, json=message, headers=headers)
                assert answer.status_code == status
            await simulator.add_rules({"times": 1, "action": {"drop": "after", "reset": True}})
            with pytest.raises(httpx.TransportError):
                await client.post(path, json=message, headers={"Authorization": "Bearer T"})
            assert [each.text for each in await simulator.messages()] == ["سلام"] * 3
        assert stop(process) == (0, f"WhatsApp simulator at {url} stopped")


async def test_sheets_process_keeps_its_account_over_a_restart(tmp_path: Path) -> None:
    kept = tmp_path / "account.json"
    settings = {"MIRSAL_SIMULATOR_SHEETS_CREDENTIALS_FILE": str(kept)}

    def open_book(url: str, credentials: dict[str, str]) -> str:
        client = connect_gspread(url, credentials)
        try:
            return client.open_by_key("any-id").sheet1.title
        finally:
            client.http_client.session.close()

    with running("sheets", **settings) as (process, line):
        assert line.startswith("Google Sheets simulator at http://127.0.0.1:")
        url = line.split()[4]
        first = json.loads(kept.read_text())
        assert kept.stat().st_mode & 0o777 == 0o600
        assert await asyncio.to_thread(open_book, url, first) == "Sheet1"
        assert stop(process) == (0, f"Google Sheets simulator at {url} stopped")
    with running("sheets", **settings) as (_, line):
        url = line.split()[4]
        old = {**first, "token_uri": f"{url}/token"}
        assert await asyncio.to_thread(open_book, url, old) == "Sheet1"
        assert json.loads(kept.read_text()) == old


async def test_smtp_process_serves_and_stops() -> None:
    with running("smtp") as (process, line):
        assert line.startswith("SMTP simulator at 127.0.0.1:")
        port = int(line.split()[3].removesuffix(",").rpartition(":")[2])
        inbox_url = line.split()[6]
        async with InboxClient(inbox_url) as inbox:
            await inbox.add_rules(
                {"stage": "data", "times": 1, "action": {"drop": "after", "reset": True}},
                {"stage": "greeting", "times": 2, "action": {"delayMs": 10}},
            )
            for _ in range(2):
                client = aiosmtplib.SMTP(
                    hostname="127.0.0.1", port=port, timeout=5, use_tls=False, start_tls=False
                )
                await client.connect()
                try:
                    await client.sendmail("a@mirsal.test", ["b@example.com"], b"Subject: x\r\n\r\n")
                except aiosmtplib.SMTPServerDisconnected:
                    dropped = True
                client.close()
            assert dropped
            assert len(await inbox.messages()) == 2
            assert [rule["applied"] for rule in await inbox.rules()] == [1, 2]
        assert stop(process)[0] == 0


async def test_bigquery_process_serves_and_takes_its_emulator_along(tmp_path: Path) -> None:
    """Killed, too: what it left would run for ever, and hold a quarter of a gigabyte."""
    (tmp_path / "logs").mkdir()
    with running("bigquery", MIRSAL_STATE_DIR=str(tmp_path)) as (process, line):
        assert line.startswith("BigQuery simulator at http://127.0.0.1:")
        url = line.split()[3]
        async with (
            BigQuerySimulatorClient(url) as simulator,
            httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client,
        ):
            assert await simulator.is_healthy()
            emulator = tmp_path / "logs" / "bigquery-emulator.pid"
            assert find_process(emulator) is None
            answer = await client.get("/bigquery/v2/projects/p/datasets")
            assert answer.json()["datasets"] == []
            assert (await simulator.summary())["operations"] == {"datasets.list": 1}
        running_emulator = find_process(emulator)
        assert running_emulator is not None
        process.kill()
        running_emulator.wait(STOP_SECONDS)


def speak_smtp(port: int) -> socket.socket:
    """A connection on which only the mail itself is still to be sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=STOP_SECONDS)
    connection.recv(1000)
    for line in ("HELO x", "MAIL FROM:<a@mirsal.test>", "RCPT TO:<b@example.com>", "DATA"):
        connection.sendall(line.encode() + b"\r\n")
        connection.recv(1000)
    return connection


def speak_http(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=STOP_SECONDS)


WHATSAPP_BODY = b'{"messaging_product":"whatsapp","to":"966501234567","text":{"body":"x"}}'
WHATSAPP_CALL = (
    b"POST /v23.0/1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer T\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(WHATSAPP_BODY), WHATSAPP_BODY)
)
MAIL = b"Subject: x\r\n\r\n" + b"some text\r\n" * 20_000 + b".\r\n"


@pytest.mark.parametrize(
    ("module", "connect", "sent"),
    [("whatsapp", speak_http, WHATSAPP_CALL), ("smtp", speak_smtp, MAIL)],
)
async def test_what_was_sent_whole_counts_though_its_sender_is_gone(
    module: str, connect: Callable[[int], socket.socket], sent: bytes
) -> None:
    """Else a sender that is killed and sends again would look as if it had sent once."""
    with running(module) as (process, line):
        port = int(line.split()[3].removesuffix(",").rpartition(":")[2])
        url = line.split()[6 if module == "smtp" else 3]
        connections = [connect(port) for _ in range(20)]
        process.send_signal(signal.SIGSTOP)
        senders = [Thread(target=send_and_leave, args=(each, sent)) for each in connections]
        for sender in senders:
            sender.start()
        process.send_signal(signal.SIGCONT)
        for sender in senders:
            sender.join(STOP_SECONDS)
        async with MessageClient(url) as control:
            summary = await control.wait_for_messages(20, seconds=STOP_SECONDS)
            assert summary["messages"] == 20


def send_and_leave(connection: socket.socket, sent: bytes) -> None:
    with connection:
        connection.sendall(sent)


async def test_stopping_does_not_wait_for_those_who_hang() -> None:
    with running("whatsapp") as (process, line):
        url = line.split()[3]
        async with WhatsAppSimulatorClient(url) as simulator:
            await simulator.add_rules({"action": {"hang": True}})
            async with httpx.AsyncClient(base_url=url, timeout=0.2, trust_env=False) as client:
                with pytest.raises(httpx.ReadTimeout):
                    await client.post(
                        "/v23.0/1/messages",
                        json={
                            "messaging_product": "whatsapp",
                            "to": "966501234567",
                            "text": {"body": "x"},
                        },
                        headers={"Authorization": "Bearer T"},
                    )
                assert stop(process)[0] == 0


@pytest.mark.parametrize("module", ["whatsapp", "smtp"])
def test_a_taken_port_ends_the_process_with_the_reason(module: str) -> None:
    with running("whatsapp") as (_, line):
        port = line.split()[3].rpartition(":")[2]
        taken = {"whatsapp": "WHATSAPP_PORT", "smtp": "SMTP_PORT"}[module]
        with running(module, **{f"MIRSAL_SIMULATOR_{taken}": port}) as (second, _):
            code, said = last_words(second)
            assert code != 0
            assert "already in use" in said
