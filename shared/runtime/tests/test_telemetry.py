"""Logs without personal data, trace contexts that flow with and without a collector."""

import errno
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import structlog
from mirsal_contracts.leads import Lead
from mirsal_runtime.log_faults import Told, name_fault
from mirsal_runtime.log_fields import HIDDEN, hide_personal_data
from mirsal_runtime.log_lines import Bursts, RepetitionFilter
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.telemetry import (
    BurstLog,
    child_traceparent,
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
    log.info("sent", lead=Lead(id="1", name="Ahmed"), email="ahmed@example.com", count=3)
log.debug("too quiet")
logging.getLogger("aiokafka").error("away: %s", "node 1")
logging.getLogger("aiokafka").error("away: %s", "node 2")
logging.getLogger("urllib3").error("no way to %s: %s", "https://a/ahmed", ValueError("Ahmed"))
logging.getLogger("asyncio").error("Exception in callback f('Ahmed')\\nfuture: Ahmed")
try:
    raise ValueError("Ahmed")
except ValueError:
    log.exception("failed", error="ahmed")
    logging.getLogger("asyncio").exception("was never retrieved")
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
    lines = run_script(SCRIPT)
    assert "ahmed" not in repr(lines).lower()
    sent, away, url, loop, failed, lost = lines
    assert (sent["event"], sent["level"], sent["count"]) == ("sent", "info", 3)
    assert (sent["service"], sent["instance"]) == ("email-worker", "worker-7")
    assert sent["run_id"] == "r1"
    assert {sent[name] for name in ("lead", "lead_id", "email")} == {HIDDEN}
    assert str(sent["timestamp"]).endswith("Z")
    assert (away["event"], away["level"], away["logger"]) == ("away: node 1", "error", "aiokafka")
    assert url["event"] == "no way to <str>: ValueError"
    assert loop["event"] == "Exception in callback f"
    assert (failed["event"], failed["error"]) == ("failed", "ValueError")
    assert str(failed["at"]).startswith("['<string>:")
    assert (lost["event"], lost["error"]) == ("was never retrieved", "ValueError")
    assert "run_id" not in failed


def test_level_is_a_setting() -> None:
    assert run_script(SCRIPT, MIRSAL_LOG_LEVEL="CRITICAL") == []


def test_a_value_that_is_not_of_its_fields_type_is_hidden() -> None:
    event = {
        "event": "any",
        "code": "smtp_550",
        "reason": "Ahmed lives at home",
        "outcome": "ahmed@example.com",
        "execution_id": UUID(int=1),
        "run_ids": ["a", "ahmed@example.com", Lead(id="1", name="Ahmed")],
        "wall": {"seccomp": "on", "Ahmed Ali": "x"},
        "count": 3,
        "rows": "+201001234567",
        "error": ValueError("personal"),
        "lead": "0123456789abcdef",
        "phone": 20,
        "at": ["a.py:3 f", "Ahmed"],
    }
    assert hide_personal_data(None, "", event) == {
        "event": "any",
        "code": "smtp_550",
        "reason": HIDDEN,
        "outcome": HIDDEN,
        "execution_id": UUID(int=1),
        "run_ids": ["a", HIDDEN, HIDDEN],
        "wall": {"seccomp": "on", HIDDEN: "x"},
        "count": 3,
        "rows": HIDDEN,
        "error": "ValueError",
        "lead": "0123456789abcdef",
        "phone": HIDDEN,
        "at": ["a.py:3 f", HIDDEN],
    }
    texts = {"error": "personal", "lead": "ahmed"}
    assert hide_personal_data(None, "", texts) == {"error": HIDDEN, "lead": HIDDEN}


def test_an_error_is_told_by_its_types_and_codes() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Ahmed")
    away = RuntimeError("Ahmed")
    away.__cause__ = refused
    assert name_fault(away) == "RuntimeError < ConnectionRefusedError(ECONNREFUSED)"
    assert name_fault(ExceptionGroup("Ahmed", [KeyError("Ahmed")])) == "ExceptionGroup < KeyError"
    taken = asyncpg.exceptions.UniqueViolationError("Ahmed")
    assert name_fault(taken) == "UniqueViolationError(23505)"
    assert name_fault(Told("there is no key")) == "Told: there is no key"


def test_of_a_burst_some_lines_are_written_and_the_rest_counted() -> None:
    second = 1.0
    keep = Bursts(2, lambda: second)

    def written(name: str) -> list[dict[str, object]]:
        try:
            return [dict(keep(None, "", {"event": name, "left_out": 1}))]
        except structlog.DropEvent:
            return []

    assert [len(written("a")) for _ in range(5)] == [1, 1, 0, 0, 0]
    assert len(written("b")) == 1
    second = 2.0
    assert [line["left_out"] for line in written("a") + written("a")] == [4, 1]


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
