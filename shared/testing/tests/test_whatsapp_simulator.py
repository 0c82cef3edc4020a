"""The WhatsApp simulator as a client meets it: real sockets, Meta's shapes, exact bytes."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import httpx
import pytest
from mirsal_testing.simulators.whatsapp import Template, WhatsAppSimulator

NUMBER_ID = "123456789012345"
PATH = f"/v23.0/{NUMBER_ID}/messages"
ARABIC = "مرحباً أحمد محمد، شكراً لاهتمامك 🌙"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def text_message(to: str = "+966 50 123 4567", body: str = ARABIC, **more: Any) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "to": to,
        "type": "text",
        "text": {"body": body},
        **more,
    }


async def post(
    simulator: WhatsAppSimulator, payload: object, path: str = PATH, **headers: str
) -> httpx.Response:
    headers = {"Authorization": "Bearer T", **headers}
    async with httpx.AsyncClient(base_url=simulator.url, timeout=5, trust_env=False) as client:
        return await client.post(path, json=payload, headers=headers)


async def test_success_has_metas_shape(whatsapp_simulator: WhatsAppSimulator) -> None:
    answer = await post(whatsapp_simulator, text_message())
    (message,) = whatsapp_simulator.messages
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "+966 50 123 4567", "wa_id": "966501234567"}],
        "messages": [{"id": message.message_id}],
    }
    assert message.message_id is not None
    assert message.message_id.startswith("wamid.")
    assert b"966501234567" in base64.b64decode(message.message_id.removeprefix("wamid."))


async def test_ids_differ(whatsapp_simulator: WhatsAppSimulator) -> None:
    for _ in range(3):
        await post(whatsapp_simulator, text_message())
    assert len({message.message_id for message in whatsapp_simulator.messages}) == 3


async def test_arabic_arrives_byte_for_byte(whatsapp_simulator: WhatsAppSimulator) -> None:
    body = json.dumps(text_message(), ensure_ascii=False).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            whatsapp_simulator.url + PATH,
            data=body,
            headers={
                "Authorization": "Bearer T",
                "Content-Type": "application/json",
                "X-Lead": "أحمد",
                "traceparent": TRACE,
            },
            timeout=aiohttp.ClientTimeout(total=5),
        ) as answer,
    ):
        assert answer.status == 200
    (message,) = whatsapp_simulator.messages
    assert message.body == body
    assert message.text == ARABIC
    assert message.headers["traceparent"] == TRACE
    assert message.headers["x-lead"] == "أحمد"


async def test_token_is_never_shown(whatsapp_simulator: WhatsAppSimulator) -> None:
    await post(whatsapp_simulator, text_message(), Authorization="Bearer very-secret")
    (message,) = whatsapp_simulator.messages
    assert "very-secret" not in str(message.headers)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer other", "Basic T"])
async def test_unknown_token_is_190(authorization: str) -> None:
    async with WhatsAppSimulator(tokens=["T"]) as simulator:
        answer = await post(simulator, text_message(), Authorization=authorization)
        assert answer.status_code == 401
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "code", "fbtrace_id"}
        assert (error["code"], error["type"]) == (190, "OAuthException")
        assert (await post(simulator, text_message())).status_code == 200


@pytest.mark.parametrize("number_id", ["1", "+15550001111", "phone"])
async def test_unknown_phone_number_id_is_100_subcode_33(number_id: str) -> None:
    async with WhatsAppSimulator(phone_number_ids=[NUMBER_ID]) as simulator:
        answer = await post(simulator, text_message(), f"/v23.0/{number_id}/messages")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["error_subcode"]) == (400, 100, 33)
        assert simulator.messages == []


async def test_path_without_version_is_refused(whatsapp_simulator: WhatsAppSimulator) -> None:
    answer = await post(whatsapp_simulator, text_message(), f"/{NUMBER_ID}/messages")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2500)


async def test_other_methods_are_refused(whatsapp_simulator: WhatsAppSimulator) -> None:
    async with httpx.AsyncClient(base_url=whatsapp_simulator.url, trust_env=False) as client:
        answer = await client.get(PATH)
    assert (answer.status_code, answer.json()["error"]["error_subcode"]) == (400, 33)


async def test_broken_json_has_no_parameters(whatsapp_simulator: WhatsAppSimulator) -> None:
    async with httpx.AsyncClient(base_url=whatsapp_simulator.url, trust_env=False) as client:
        answer = await client.post(PATH, content=b"{", headers={"Authorization": "Bearer T"})
    assert answer.json()["error"]["message"] == (
        "(#100) The parameter messaging_product is required."
    )
    (call,) = whatsapp_simulator.calls
    assert (call.outcome, call.reason) == ("refused", "the body is not JSON")


async def test_refusal_with_details_has_metas_shape(
    whatsapp_simulator: WhatsAppSimulator,
) -> None:
    answer = await post(whatsapp_simulator, text_message(to="not a number"))
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert set(error) == {"message", "type", "code", "error_data", "fbtrace_id"}
    assert error["message"] == "(#131009) Parameter value is not valid"
    assert set(error["error_data"]) == {"messaging_product", "details"}
    assert error["error_data"]["messaging_product"] == "whatsapp"
    assert whatsapp_simulator.messages == []


async def test_mark_as_read(whatsapp_simulator: WhatsAppSimulator) -> None:
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.X"}
    answer = await post(whatsapp_simulator, read)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert whatsapp_simulator.messages == []
    refused = await post(whatsapp_simulator, read | {"message_id": "X"})
    assert refused.json()["error"]["code"] == 131009


async def test_template_is_checked_against_the_registered_ones() -> None:
    def send(name: str = "welcome", language: str = "ar", variables: int = 2) -> dict[str, Any]:
        parameters = [{"type": "text", "text": "أحمد"}] * variables
        template = {
            "name": name,
            "language": {"code": language},
            "components": [{"type": "body", "parameters": parameters}],
        }
        return text_message(type="template", template=template)

    async with WhatsAppSimulator(
        templates=[Template(name="welcome", language="ar", body=2)]
    ) as simulator:
        taken = await post(simulator, send())
        assert taken.json()["messages"][0]["message_status"] == "accepted"
        unknown = await post(simulator, send(language="en"))
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, 132001)
        assert unknown.json()["error"]["error_data"]["details"] == (
            "template name (welcome) does not exist in en"
        )
        short = await post(simulator, send(variables=1))
        assert (short.status_code, short.json()["error"]["code"]) == (400, 132000)
        assert short.json()["error"]["error_data"]["details"] == (
            "body: number of localizable_params (1) does not match the expected number of "
            "params (2)"
        )
        assert len(simulator.messages) == 1


async def test_a_port_can_be_taken_again_at_once() -> None:
    async with WhatsAppSimulator() as first:
        await post(first, text_message())
        port = int(first.url.rpartition(":")[2])
    async with WhatsAppSimulator(port=port) as second:
        assert (await post(second, text_message())).status_code == 200


async def test_only_the_newest_are_kept_but_all_are_counted() -> None:
    async with WhatsAppSimulator(keep=2) as simulator:
        for number in range(5):
            await post(simulator, text_message(biz_opaque_callback_data=f"c{number % 4}"))
        assert [message.message_sequence for message in simulator.messages] == [4, 5]
        summary = simulator.record.summary()
    assert (summary["messages"], summary["duplicates"]) == (5, {"c0": 2})
