"""What every connector must do, done by this one against the Sheets simulator."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mirsal_testing.connector_suite import ConnectorCase, ConnectorSuite
from mirsal_testing.simulators.sheets import SheetsSimulator
from sheets_worker.main import connector

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

SPREADSHEET = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"
NAME = "أحمد بن محمد"


class TestGoogleSheets(ConnectorSuite):
    """The suite, with Google's errors."""

    @pytest.fixture
    def case(self, google: SheetsSimulator, tmp_path: Path) -> ConnectorCase:
        """The connector as the environment describes it."""
        credentials = json.loads((tmp_path / "credentials.json").read_text("utf-8"))

        async def count() -> int:
            appends = [call for call in google.calls if call.method == "values.append"]
            return sum(call.rows for call in appends if call.applied)

        async def hang() -> None:
            action = {"hang": True, "accept": True}
            google.rules.add({"match": {"call": "values.append"}, "action": action})

        async def vanish() -> None:
            await google.__aexit__()

        def fail_with(kind: str) -> Callable[[], Awaitable[None]]:
            async def fail() -> None:
                google.rules.clear()
                google.fail_next(kind, times=10_000)

            return fail

        async def refuse() -> None:
            google.rules.clear()
            google.rules.add({"action": {"error": {"code": 400, "message": "Invalid value"}}})

        config: JsonObject = {
            "operation": "append",
            "spreadsheetId": SPREADSHEET,
            "sheet": "Leads",
            "values": {"name": NAME},
        }
        return ConnectorCase(
            connector=connector,
            config=config,
            bad_config={**config, "stranger": NAME},
            count_effects=count,
            hang=hang,
            vanish=vanish,
            faults={
                "transient": fail_with("unavailable"),
                "throttled": fail_with("rateLimited"),
                "action_required": fail_with("permissionDenied"),
                "permanent": refuse,
            },
            secrets=[credentials["private_key"][40:80], NAME],
            timeout_seconds=4.0,
        )
