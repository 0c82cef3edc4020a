"""The API as the environment of a test describes it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from mirsal_testing.simulators.whatsapp import WhatsAppSimulator
from whatsapp_worker.cloud_api import CloudApi, open_cloud_api
from whatsapp_worker.settings import WhatsAppSettings

SECRET = "EAAB-s3cr3t-t0ken"


@pytest.fixture
async def simulator() -> AsyncIterator[WhatsAppSimulator]:
    """A WhatsApp that knows one token and one number."""
    async with WhatsAppSimulator(tokens=[SECRET], phone_number_ids=["1055"]) as running:
        yield running


@pytest.fixture
def open_api(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., AbstractAsyncContextManager[CloudApi]]:
    """`async with open_api(url, IDLE_SECONDS=1) as api`."""

    @asynccontextmanager
    async def open_one(url: str, **variables: str | float) -> AsyncIterator[CloudApi]:
        chosen = {"BASE_URL": url, "TOKEN": SECRET, "PHONE_NUMBER_ID": "1055"}
        for name, value in {**chosen, **variables}.items():
            monkeypatch.setenv(f"MIRSAL_WHATSAPP_{name}", str(value))
        async with open_cloud_api(WhatsAppSettings()) as api:
            yield api

    return open_one
