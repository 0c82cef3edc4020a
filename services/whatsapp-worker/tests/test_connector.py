"""What every connector must do, done by this one against the WhatsApp simulator."""

from collections.abc import Awaitable, Callable

import pytest
from mirsal_testing.connector_suite import ConnectorCase, ConnectorSuite
from mirsal_testing.simulators.whatsapp import WhatsAppSimulator
from whatsapp_worker.main import connector

SECRET = "EAAB-s3cr3t-t0ken"
PHONE = "+966501234567"


class TestWhatsApp(ConnectorSuite):
    """The suite, with Meta's errors."""

    @pytest.fixture
    def case(self, simulator: WhatsAppSimulator, monkeypatch: pytest.MonkeyPatch) -> ConnectorCase:
        """The connector as the environment describes it."""
        settings = {"BASE_URL": simulator.url, "TOKEN": SECRET, "PHONE_NUMBER_ID": "1055"}
        for name, value in settings.items():
            monkeypatch.setenv(f"MIRSAL_WHATSAPP_{name}", value)

        async def count() -> int:
            return len(simulator.messages)

        async def hang() -> None:
            simulator.rules.add({"action": {"hang": True, "accept": True}})

        async def vanish() -> None:
            await simulator.__aexit__()

        async def lose_the_answer() -> None:
            simulator.drop_next("after")

        async def read_traces() -> list[str]:
            return [call.headers["traceparent"] for call in simulator.calls]

        def fail_with(code: int) -> Callable[[], Awaitable[None]]:
            async def fail() -> None:
                simulator.fail_next(code, message=f"(#{code}) {SECRET}")

            return fail

        return ConnectorCase(
            connector=connector,
            config={"to": PHONE, "text": "مرحباً"},
            bad_config={"to": PHONE, "text": "مرحباً", "stranger": PHONE},
            count_effects=count,
            hang=hang,
            vanish=vanish,
            faults={
                "transient": fail_with(131016),
                "throttled": fail_with(130429),
                "action_required": fail_with(190),
                "permanent": fail_with(131026),
                "unconfirmed": lose_the_answer,
            },
            secrets=[SECRET, PHONE, PHONE[1:]],
            read_traces=read_traces,
        )
