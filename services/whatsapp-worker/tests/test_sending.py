"""Messages against the simulator of the Cloud API: what arrives, and what its errors become."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from mirsal_runtime.attempt import ClaimRefused
from mirsal_runtime.failures import (
    ActionRequired,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from mirsal_testing.commands import make_command
from mirsal_testing.simulators.whatsapp import WhatsAppSimulator
from whatsapp_worker.cloud_api import CloudApi
from whatsapp_worker.params import WhatsAppParams, WhatsAppResult
from whatsapp_worker.send import send_whatsapp

COMMAND_ID = "0198c0de-0000-8000-8000-000000000001.1"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

OpenApi = Callable[..., AbstractAsyncContextManager[CloudApi]]


class Attempt:
    """One attempt whose claim is granted, unless `refuse`."""

    def __init__(self, *, refuse: bool = False, traceparent: str = "") -> None:
        self.refuse = refuse
        self.traceparent = traceparent
        self.claims = 0
        self.command = make_command("whatsapp").model_copy(update={"command_id": COMMAND_ID})

    async def claim(self) -> float:
        self.claims += 1
        if self.refuse:
            raise ClaimRefused("sent already")
        return 5.0


async def send(api: CloudApi, attempt: Attempt | None = None, **config: Any) -> WhatsAppResult:
    if not config.keys() - {"to"}:
        config["text"] = "مرحباً"
    params = WhatsAppParams.model_validate({"to": "+966 50 123 4567", **config})
    return await send_whatsapp(params, attempt or Attempt(), api)


async def test_text_arrives_byte_for_byte(simulator: WhatsAppSimulator, open_api: OpenApi) -> None:
    text = "عزيزي أحمد محمد, شكراً لاهتمامك 😀 \u200f(١٢٣)"
    attempt = Attempt(traceparent=TRACE)
    async with open_api(simulator.url) as api:
        result = await send(api, attempt, to="+٩٦٦٥٠١٢٣٤٥٦٧", text=text)
    (call,) = simulator.calls
    assert call.path == "/v24.0/1055/messages"
    assert text.encode() in call.body
    assert call.payload["text"]["body"] == text
    assert (call.to, call.callback_data) == ("966501234567", COMMAND_ID)
    assert call.headers["traceparent"] == TRACE
    assert call.headers["content-type"] == "application/json"
    assert attempt.claims == 1
    assert result == WhatsAppResult(message_id=call.message_id or "", to="966501234567")
    assert result.to_json().startswith(b'{"messageId":"wamid.')


@pytest.mark.parametrize(
    "config",
    [
        {"template": {"name": "welcome", "language": "ar", "variables": ["أحمد", 7]}},
        {"media": {"type": "image", "link": "https://example.com/a.jpg", "caption": "صورة"}},
        {"media": {"type": "document", "link": "https://example.com/a.pdf", "filename": "a.pdf"}},
        {"interactive": {"body": "؟", "buttons": [{"id": "1", "title": "نعم"}], "footer": "f"}},
    ],
)
async def test_every_kind_passes_metas_checks(
    simulator: WhatsAppSimulator, open_api: OpenApi, config: dict[str, Any]
) -> None:
    async with open_api(simulator.url) as api:
        await send(api, **config)
    assert [call.outcome for call in simulator.calls] == ["accepted"]


async def test_version_and_base_path_are_settings(
    simulator: WhatsAppSimulator, open_api: OpenApi
) -> None:
    async with open_api(f"{simulator.url}/", API_VERSION="v23.0") as api:
        await send(api)
    assert simulator.calls[0].path == "/v23.0/1055/messages"


async def test_without_a_trace_no_header_is_sent(
    simulator: WhatsAppSimulator, open_api: OpenApi
) -> None:
    async with open_api(simulator.url) as api:
        await send(api)
    assert "traceparent" not in simulator.calls[0].headers


async def test_what_cannot_be_sent_is_never_claimed(
    simulator: WhatsAppSimulator, open_api: OpenApi
) -> None:
    attempt = Attempt()
    async with open_api(simulator.url) as api:
        for config, code in (
            ({"to": None, "text": "x"}, "missing_recipient"),
            ({"to": "0501234567", "text": "x"}, "invalid_phone"),
            ({"text": "x" * 5000}, "invalid_message"),
        ):
            with pytest.raises(PermanentError) as refused:
                await send(api, attempt, **config)
            assert refused.value.code == code
    assert attempt.claims == 0
    assert not simulator.calls


async def test_the_default_region(simulator: WhatsAppSimulator, open_api: OpenApi) -> None:
    async with open_api(simulator.url, DEFAULT_REGION="sa") as api:
        await send(api, to="٠٥٠١٢٣٤٥٦٧")
    assert simulator.calls[0].to == "966501234567"


async def test_a_refused_claim_sends_nothing(
    simulator: WhatsAppSimulator, open_api: OpenApi
) -> None:
    async with open_api(simulator.url) as api:
        await send(api)
        with pytest.raises(ClaimRefused):
            await send(api, Attempt(refuse=True))
        await send(api)
    assert len(simulator.calls) == 2


@pytest.mark.parametrize(
    ("error", "kind", "wait"),
    [
        ({"code": 131056}, ThrottledError, 6),
        ({"code": 131056, "retry_after": 2}, ThrottledError, 2),
        ({"code": 130429, "status": 429, "retry_after": 3}, ThrottledError, 3),
        ({"code": 131000}, RetryableError, None),
        ({"code": 131000, "status": 500}, RetryableError, None),
        ({"code": 2, "status": 503}, RetryableError, None),
        ({"code": 131049}, ThrottledError, 43_200),
        ({"code": 190}, ActionRequired, None),
        ({"code": 131026}, PermanentError, None),
    ],
)
async def test_metas_errors_are_definite(
    simulator: WhatsAppSimulator,
    open_api: OpenApi,
    error: dict[str, Any],
    kind: type[Exception],
    wait: float | None,
) -> None:
    code = error.pop("code")
    simulator.fail_next(code, **error)
    async with open_api(simulator.url) as api:
        with pytest.raises(kind) as failed:
            await send(api)
    assert getattr(failed.value, "retry_after", None) == wait
    assert not simulator.messages


async def test_a_wrong_token_or_number_is_a_matter_for_a_person(
    simulator: WhatsAppSimulator, open_api: OpenApi
) -> None:
    for variables in ({"TOKEN": "another"}, {"PHONE_NUMBER_ID": "99"}, {"API_VERSION": "v24.0"}):
        base = f"{simulator.url}/x" if "API_VERSION" in variables else simulator.url
        async with open_api(base, **variables) as api:
            with pytest.raises(ActionRequired):
                await send(api)


@pytest.mark.parametrize("when", ["before", "after", "midway"])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_lost_answer_leaves_open_whether_it_was_sent(
    simulator: WhatsAppSimulator, open_api: OpenApi, when: str, reset: bool
) -> None:
    simulator.drop_next(when, reset=reset)
    async with open_api(simulator.url) as api:
        with pytest.raises(OutcomeUnknown):
            await send(api)
        assert len(simulator.calls) == 1
        await send(api)
    assert len(simulator.messages) == (1 if when == "before" else 2)
