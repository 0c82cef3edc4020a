"""The demo on a running stack: good twice in a row, and it says who did not get what."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mirsal_testing.simulators.smtp.client import InboxClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
    from mirsal_testing.stack import Stack

pytestmark = pytest.mark.e2e

SECONDS = 100


async def play(stack: Stack) -> tuple[int, str]:
    """The demo's exit code, and what it showed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mirsal_testing.demo"),
        env={**os.environ, "MIRSAL_STATE_DIR": str(stack.folder.root)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SECONDS):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_every_lead_gets_one_of_each_and_again_the_next_time(stack: Stack) -> None:
    for _ in range(2):
        code, shown = await play(stack)
        assert code == 0, shown
        assert "messages and rows arrived: 600/600" in shown
        assert "Every lead got exactly one e-mail, one WhatsApp message and one row" in shown
        assert f"{stack.url}/docs" in shown
    assert stack.is_up()


async def test_it_fails_and_names_who_is_missing_what(
    stack: Stack, inbox: InboxClient, whatsapp: WhatsAppSimulatorClient
) -> None:
    await whatsapp.fail_next(131026, match={"to": "966512921132"})
    await inbox.fail_next("rcpt", 550, "5.1.1 no", match={"to": "joao.araujo@example.org"})
    code, shown = await play(stack)
    assert code == 1, shown
    assert "demo-001 (أحمد محمد): 0 WhatsApp messages arrived instead of one" in shown
    assert "demo-001 (أحمد محمد): 0 rows were written instead of one" in shown
    assert "demo-002 (João Araújo): 0 e-mails arrived instead of one" in shown
    assert "Every lead got" not in shown
