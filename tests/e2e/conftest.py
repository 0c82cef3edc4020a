"""One stack for all end-to-end tests, and what they speak to it with."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from mirsal_testing.otlp import OtlpReceiver
from mirsal_testing.rest import RestClient
from mirsal_testing.simulators.sheets import SheetsSimulatorClient
from mirsal_testing.simulators.smtp.client import InboxClient
from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
from mirsal_testing.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

PEPPER = {"MIRSAL_API_KEY_PEPPER": "what-the-stack-for-all-tests-has-its-keys-peppered-with"}
SETTINGS = {
    "MIRSAL_RATE_LIMIT_PER_MINUTE": "0",
    "MIRSAL_NOOP_WORKERS": "1",
    "MIRSAL_DAILY_RECIPIENTS": '{"capped": 10}',
    **PEPPER,
}


@pytest.fixture(scope="session")
def otlp() -> Iterator[OtlpReceiver]:
    """All spans of the stack."""
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(mirsal_server_folder: Path, otlp: OtlpReceiver) -> Iterator[Stack]:
    settings = {**SETTINGS, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url}
    with Stack(mirsal_server_folder / "e2e", environment=settings) as running:
        yield running


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[RestClient]:
    async with RestClient(stack.url, stack.api_key) as client:
        yield client


@pytest_asyncio.fixture
async def inbox(stack: Stack) -> AsyncIterator[InboxClient]:
    async with InboxClient(stack.environment["MIRSAL_INBOX_URL"]) as client:
        yield client
        await client.clear_rules()


@pytest_asyncio.fixture
async def whatsapp(stack: Stack) -> AsyncIterator[WhatsAppSimulatorClient]:
    url = stack.environment["MIRSAL_WHATSAPP_SIMULATOR_URL"]
    async with WhatsAppSimulatorClient(url) as client:
        yield client
        await client.clear_rules()


@pytest_asyncio.fixture
async def sheets(stack: Stack) -> AsyncIterator[SheetsSimulatorClient]:
    url = stack.environment["MIRSAL_SHEETS_SIMULATOR_URL"]
    async with SheetsSimulatorClient(url) as client:
        yield client
        await client.clear_rules()


@dataclass(frozen=True)
class Person:
    """A lead that only this test knows."""

    id: str
    email: str
    phone: str

    @property
    def wa_id(self) -> str:
        """The phone as WhatsApp names it."""
        return self.phone.removeprefix("+")


_numbers = itertools.count(1)


class People:
    """Makes leads, each with a mailbox and a phone of its own."""

    def __init__(self, api: RestClient) -> None:
        self._api = api

    async def make(self, **overrides: Any) -> Person:
        """A lead; `overrides` replace or (as None) remove what it has by default."""
        number = next(_numbers)
        person = Person(
            f"person-{number}", f"person-{number}@example.com", f"+2010{20_000_000 + number}"
        )
        lead = {
            "name": "أحمد محمد",
            "email": person.email,
            "phone": person.phone,
            "fields": {"city": "القاهرة"},
            **overrides,
        }
        await self._api.put_lead(person.id, **lead)
        return person


@pytest.fixture
def people(api: RestClient) -> People:
    return People(api)
