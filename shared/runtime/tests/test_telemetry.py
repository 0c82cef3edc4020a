"""Logs without personal data, trace contexts that flow with and without a collector."""

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from mirsal_contracts.leads import Lead
from mirsal_runtime.log_lines import HIDDEN, RepetitionFilter
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.telemetry import (
    BurstLog,
    child_traceparent,
    hide_personal_data,
    is_traceparent,
    new_traceparent,
    span,
    trace_id_of,
)
from pydantic import ValidationError

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SCRIPT = """
import logging, structlog
from mirsal_contracts.leads import Lead
from mirsal_runtime import telemetry
from mirsal_runtime.settings import RuntimeSettings

telemetry.configure(RuntimeSettings(instance="worker-7"), service="email-worker")
log = structlog.get_logger("x")
with telemetry.bound(run_id="r1", lead_id="l1"):
    log.info("sent", lead_object=Lead(id="1", name="Ahmed"), email="ahmed@example.com", n=3)
log.debug("too quiet")
logging.getLogger("aiokafka").error("away: %s", "node 1")
logging.getLogger("aiokafka").error("away: %s", "node 2")
try:
    raise ValueError("words")
except ValueError:
    log.exception("failed")
"""


def run_script(script: str, **environment: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_log_lines_are_json_with_ids_and_without_people() -> None:
    sent, away, failed = run_script(SCRIPT)
    assert (sent["event"], sent["level"], sent["n"]) == ("sent", "info", 3)
    assert (sent["service"], sent["instance"]) == ("email-worker", "worker-7")
    assert (sent["run_id"], sent["lead_id"]) == ("r1", "l1")
    assert (sent["lead_object"], sent["email"]) == ("<Lead>", HIDDEN)
    assert str(sent["timestamp"]).endswith("Z")
    assert (away["event"], away["level"]) == ("away: node 1", "error")
    assert "ValueError: words" in str(failed["exception"])
    assert "run_id" not in failed


def test_level_is_a_setting() -> None:
    assert run_script(SCRIPT, MIRSAL_LOG_LEVEL="CRITICAL") == []


def test_only_plain_values_are_kept() -> None:
    now = datetime.now(UTC)
    event = {
        "text": "a",
        "when": now,
        "id": UUID(int=1),
        "ids": ["a", Lead(id="1", name="Ahmed")],
        "reasons": {"postgres": "away", "name": "Ahmed", "lead": Lead(id="1")},
        "error": ValueError("personal"),
        "phone": "+20",
    }
    assert hide_personal_data(None, "", event) == {
        "text": "a",
        "when": now,
        "id": UUID(int=1),
        "ids": ["a", "<Lead>"],
        "reasons": {"postgres": "away", "name": HIDDEN, "lead": HIDDEN},
        "error": "<ValueError>",
        "phone": HIDDEN,
    }


def test_repeated_lines_of_libraries_are_counted() -> None:
    kept = RepetitionFilter(seconds=0.05)

    def line(text: str, *values: object) -> logging.LogRecord:
        return logging.LogRecord("aiokafka", logging.ERROR, "", 1, text, values, None)

    assert [kept.filter(line("away %s", n)) for n in range(3)] == [True, False, False]
    assert kept.filter(line("other"))
    kept._seconds = 0.0
    again = line("away %s", 4)
    assert kept.filter(again)
    assert again.getMessage() == "away 4 [2 more like this]"


def test_traceparents() -> None:
    new = new_traceparent()
    assert is_traceparent(new)
    child = child_traceparent(PARENT)
    assert is_traceparent(child)
    assert trace_id_of(child) == trace_id_of(PARENT) == "0af7651916cd43dd8448eb211c80319c"
    assert child != PARENT
    for wrong in ("", "nonsense", "00-" + "0" * 32 + PARENT[35:], PARENT + "\n"):
        assert not is_traceparent(wrong)
        assert is_traceparent(child_traceparent(wrong))
        assert trace_id_of(wrong) == ""


def test_context_flows_while_nothing_is_recorded() -> None:
    with span("send", parent=PARENT) as quiet:
        quiet.set("a", 1)
        quiet.fail("no")
        assert quiet.traceparent == PARENT
    with span("send", parent="") as first:
        assert is_traceparent(first.traceparent)
        assert first.traceparent == first.traceparent


def test_burst_is_sampled_and_counted() -> None:
    second = [1.0]
    with structlog.testing.capture_logs() as logged:
        lines = BurstLog(structlog.get_logger(), per_second=2, clock=lambda: second[0])
        for number in range(5):
            lines.info("done", number=number)
        second[0] = 2.5
        lines.info("done", number=5)
        lines.info("done", number=6)
    assert [line["number"] for line in logged] == [0, 1, 5, 6]
    assert [line.get("left_out") for line in logged] == [None, None, 3, None]


def test_the_key_of_pseudonyms_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 15 + "\n")
    with pytest.raises(ValidationError, match="holds no 16 signs"):
        RuntimeSettings(telemetry_key_file=file)
    file.write_text("k" * 16 + "\n")
    found = RuntimeSettings(telemetry_key_file=file).telemetry_key
    assert found is not None
    assert found.get_secret_value() == "k" * 16
