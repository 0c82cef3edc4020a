"""Numbers of credentials: nothing of the environment's account comes along; what a check says."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from mirsal_contracts.credentials import ACCOUNT
from mirsal_runtime.failures import ActionRequired, AttemptFailure, RetryableError
from mirsal_runtime.plaintext import PlaintextRefused
from mirsal_testing.simulators.whatsapp import WhatsAppSimulator
from whatsapp_worker.accounts import settings_for
from whatsapp_worker.cloud_api import CloudApi
from whatsapp_worker.settings import WhatsAppSettings

OpenApi = Callable[..., AbstractAsyncContextManager[CloudApi]]
OWN = WhatsAppSettings.model_validate(
    {"token": "own", "phone_number_id": "1", "base_url": "https://own.example", "idle_seconds": 2}
)


def test_an_account_has_nothing_of_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_WHATSAPP_TOKEN", "from-the-environment")
    monkeypatch.setenv("MIRSAL_WHATSAPP_PHONE_NUMBER_ID", "2")
    account = ACCOUNT.validate_python({"type": "whatsapp", "token": "t", "phoneNumberId": "1055"})
    made = settings_for(account, OWN)
    assert (made.token.get_secret_value(), made.phone_number_id) == ("t", "1055")
    assert made.messages_url.startswith("https://own.example/"), "where WhatsApp is, is not theirs"
    assert made.idle_seconds == 2


def test_tokens_leave_this_machine_in_plain_text_by_a_word_only() -> None:
    plain = {"token": "t", "phone_number_id": "1", "base_url": "http://proxy.example"}
    with pytest.raises(PlaintextRefused, match="MIRSAL_WHATSAPP_BASE_URL"):
        WhatsAppSettings.model_validate(plain)
    own = WhatsAppSettings.model_validate({**plain, "MIRSAL_ALLOW_PLAINTEXT": "true"})
    account = ACCOUNT.validate_python({"type": "whatsapp", "token": "t", "phoneNumberId": "1055"})
    assert settings_for(account, own).messages_url.startswith("http://proxy.example/")


def test_an_account_that_cannot_work_is_refused_without_being_shown() -> None:
    account = ACCOUNT.validate_python(
        {"type": "whatsapp", "token": "s3cr3t", "phoneNumberId": "1", "defaultRegion": "XX"}
    )
    mail = ACCOUNT.validate_python({"type": "smtp", "host": "a.example", "password": "s3cr3t"})
    for each in (account, mail):
        with pytest.raises(ActionRequired) as refused:
            settings_for(each, OWN)
        assert refused.value.code == "credential_refused"
        assert "s3cr3t" not in str(refused.value)


async def test_a_number_is_read_and_no_message_sent(
    simulator: WhatsAppSimulator, open_api: OpenApi
) -> None:
    async with open_api(simulator.url) as api:
        number = await api.read_number()
    assert (number.id, number.name) == ("1055", "Mirsal")
    assert not simulator.calls


@pytest.mark.parametrize("wrong", [{"TOKEN": "s3cr3t-wr0ng"}, {"PHONE_NUMBER_ID": "77"}])
async def test_what_is_wrong_with_a_number_is_said_without_its_token(
    simulator: WhatsAppSimulator, open_api: OpenApi, wrong: dict[str, str]
) -> None:
    async with open_api(simulator.url, **wrong) as api:
        with pytest.raises(AttemptFailure) as refused:
            await api.read_number()
    assert refused.value.code.startswith("whatsapp_")
    assert "s3cr3t" not in str(refused.value)


async def test_nobody_is_there(open_api: OpenApi, unused_tcp_port: int) -> None:
    async with open_api(f"http://127.0.0.1:{unused_tcp_port}") as api:
        with pytest.raises(RetryableError) as refused:
            await api.read_number()
    assert refused.value.__cause__ is None, "aiohttp's errors hold the token"
