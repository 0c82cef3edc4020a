"""pytest fixtures: a fresh simulator for each test, on a free port, in the test's event loop.

The imports wait for their first use: this module is loaded by every run of pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mirsal_testing.simulators.smtp import SmtpSimulator
    from mirsal_testing.simulators.whatsapp import WhatsAppSimulator


@pytest_asyncio.fixture
async def whatsapp_simulator() -> AsyncIterator[WhatsAppSimulator]:
    from mirsal_testing.simulators.whatsapp import WhatsAppSimulator

    async with WhatsAppSimulator() as simulator:
        yield simulator


@pytest_asyncio.fixture
async def smtp_simulator() -> AsyncIterator[SmtpSimulator]:
    from mirsal_testing.simulators.smtp import SmtpSimulator

    async with SmtpSimulator() as simulator:
        yield simulator
