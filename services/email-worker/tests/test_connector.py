"""What every connector must do, done by this one against the SMTP simulator."""

from collections.abc import Awaitable, Callable

import pytest
from email_worker.main import connector
from email_worker.settings import SmtpSettings
from mirsal_testing.connector_suite import ConnectorCase, ConnectorSuite
from mirsal_testing.simulators.smtp import SmtpSimulator

SECRET = "s3cr3t-p4ssw0rd"
ADDRESS = "ahmed@example.com"


class TestEmail(ConnectorSuite):
    """The suite, with the replies of mail servers."""

    @pytest.fixture
    def case(
        self, server: SmtpSimulator, make_settings: Callable[..., SmtpSettings]
    ) -> ConnectorCase:
        """The connector as the environment describes it."""
        make_settings(server.port, USERNAME="mirsal", PASSWORD=SECRET)

        async def count() -> int:
            return len(server.messages)

        async def hang() -> None:
            server.rules.add({"stage": "data", "action": {"hang": True, "accept": True}})

        async def vanish() -> None:
            await server.__aexit__()

        async def lose_the_reply() -> None:
            server.drop_next("after")

        def fail_with(stage: str, code: int, text: str) -> Callable[[], Awaitable[None]]:
            async def fail() -> None:
                server.fail_next(stage, code, text)

            return fail

        return ConnectorCase(
            connector=connector,
            config={"to": ADDRESS, "subject": "مرحباً", "body": "عزيزي أحمد"},
            bad_config={"to": ADDRESS, "subject": "s", "body": "b", "stranger": ADDRESS},
            count_effects=count,
            hang=hang,
            vanish=vanish,
            faults={
                "transient": fail_with("data", 451, "4.3.0 try again"),
                "throttled": fail_with("mail", 450, "4.2.1 too fast"),
                "action_required": fail_with("data", 550, "5.7.1 policy"),
                "permanent": fail_with("rcpt", 550, "5.1.1 no such user"),
                "unconfirmed": lose_the_reply,
            },
            secrets=[SECRET, ADDRESS],
        )
