"""pytest fixtures: a fresh simulator for each test, on a free port, in the test's event loop.

The imports wait for their first use: this module is loaded by every run of pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from mirsal_testing.servers.apart import run_apart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mirsal_testing.simulators.bigquery import BigQuerySimulator, Emulator
    from mirsal_testing.simulators.sheets import SheetsSimulator
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


@pytest.fixture(scope="session")
def bigquery_emulator(mirsal_server_folder: Path) -> Iterator[Emulator]:
    """bqemulator as a process, one for the whole test run: ready after 3 s."""
    from mirsal_testing.simulators.bigquery import Emulator

    emulator = Emulator(mirsal_server_folder / "bigquery")
    run_apart(emulator.start())
    yield emulator
    run_apart(emulator.stop())


@pytest_asyncio.fixture
async def bigquery_simulator(bigquery_emulator: Emulator) -> AsyncIterator[BigQuerySimulator]:
    """A front of its own on the shared emulator; what is in `simulator.project` is this test's."""
    from mirsal_testing.simulators.bigquery import BigQuerySimulator

    async with BigQuerySimulator(emulator=bigquery_emulator) as simulator:
        yield simulator


@pytest_asyncio.fixture
async def sheets_simulator() -> AsyncIterator[SheetsSimulator]:
    from mirsal_testing.simulators.sheets import SheetsSimulator

    async with SheetsSimulator() as simulator:
        yield simulator
