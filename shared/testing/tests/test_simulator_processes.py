"""The simulators as processes, as the local stack and the benchmark run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiosmtplib
import httpx
import pytest
from mirsal_testing.simulators.smtp import InboxClient
from mirsal_testing.simulators.whatsapp import WhatsAppSimulatorClient

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    said, _ = process.communicate(timeout=STOP_SECONDS)
    return process.returncode, said.strip()


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
            said, _ = second.communicate(timeout=STOP_SECONDS)
            assert second.returncode != 0
            assert "already in use" in said
