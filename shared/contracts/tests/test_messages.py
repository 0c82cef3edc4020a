"""Envelopes, ids and node configurations: what other languages must do alike."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirsal_contracts.ids import command_id_of, execution_id_of
from mirsal_contracts.message import Envelope
from mirsal_contracts.nodes import NODE_TYPES
from mirsal_contracts.nodes.condition import ConditionConfig
from mirsal_contracts.nodes.google_sheets import GoogleSheetsConfig
from mirsal_contracts.nodes.whatsapp import WhatsAppConfig
from pydantic import ValidationError

RUN = "01936f2e-8a00-7c11-9d3b-5f0c2a417e90"
FULL = Envelope(*(f"value-{index}" for index in range(len(Envelope._fields))))


def test_an_envelope_survives_the_headers() -> None:
    assert Envelope.from_headers(FULL.to_headers()) == FULL


def test_an_empty_attribute_is_not_sent() -> None:
    headers = dict(FULL._replace(traceparent="").to_headers())
    assert "traceparent" not in headers
    assert headers["ce_specversion"] == b"1.0"


@given(st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "x"]), st.binary())))
def test_strange_headers_are_never_an_error(headers: list[tuple[str, bytes]]) -> None:
    assert isinstance(Envelope.from_headers(headers), Envelope)


def test_ids_are_the_same_in_every_language() -> None:
    execution = execution_id_of(RUN, "mail")
    assert execution == "01936f2e-8a00-84bd-bc3e-d4f4b8389c69"
    assert command_id_of(execution, 2) == f"{execution}.2"
    assert execution.startswith("01936f2e-8a00-8")


def test_nodes_and_iterations_have_ids_of_their_own() -> None:
    ids = {execution_id_of(RUN, node, turn) for node in ("a", "b", "a/0") for turn in range(3)}
    assert len(ids) == 9


def test_a_whatsapp_node_holds_exactly_one_message() -> None:
    assert WhatsAppConfig.model_validate({"text": "سلام"}).text == "سلام"
    for config in ({}, {"text": "a", "template": {"name": "n", "language": "ar"}}):
        with pytest.raises(ValidationError, match="exactly one of text"):
            WhatsAppConfig.model_validate(config)


SHEET = {"spreadsheetId": "1Bx", "sheet": "Leads"}


@pytest.mark.parametrize(
    "config",
    [
        {"operation": "append", "values": {"الاسم": "{{lead.name}}", "Score": 7, "Note": None}},
        {"operation": "append", "values": {"a": "1"}, "types": {"a": "number"}, "range": None},
        {"operation": "upsert", "values": {"a": "1"}, "keyColumn": "a", "onUnavailable": "park"},
        {"operation": "update", "values": {"a": "1"}, "keyColumn": "a"},
        {"operation": "read", "range": "A2:C", "limit": 5, "patienceSeconds": 60},
        {"operation": "lookup", "keyColumn": "a", "keyValue": 0},
        {"operation": "clear"},
        {"operation": "create_tab", "columns": ["a"], "types": {"a": "date"}},
    ],
)
def test_what_a_sheets_node_may_say(config: dict[str, Any]) -> None:
    kind = NODE_TYPES["google_sheets"]
    parsed = kind.config.model_validate({**SHEET, **config})
    wire = parsed.model_dump(by_alias=True)
    assert all(isinstance(wire[member], str) for member in kind.key_members)


def test_commands_of_a_tab_have_one_key_and_others_their_runs() -> None:
    config: dict[str, Any] = {**SHEET, "sheet": "الأعضاء/1", "operation": "append", "values": {}}
    assert NODE_TYPES["google_sheets"].command_key(config, RUN) == "1Bx/الأعضاء/1"
    assert NODE_TYPES["whatsapp"].command_key({"text": "a"}, RUN) == RUN


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"operation": "append"}, "append needs values"),
        ({"operation": "append", "values": {}}, "append needs values"),
        ({"operation": "append", "values": {" ": "1"}}, "pattern"),
        ({"operation": "append", "values": {"a": {"deep": 1}}}, "valid string"),
        ({"operation": "append", "values": {"_mirsal_row_key": "1"}}, "Mirsal's own"),
        ({"operation": "append", "values": {"a": "1", "a ": "2"}}, "same name"),
        ({"operation": "append", "values": {"a": "1"}, "types": {"b": "text"}}, "not written: b"),
        ({"operation": "upsert", "values": {"a": "1"}}, "upsert needs keyColumn"),
        ({"operation": "update", "values": {"a": "1"}, "keyColumn": "b"}, "must hold keyColumn"),
        ({"operation": "lookup", "keyColumn": "a"}, "lookup needs keyValue"),
        ({"operation": "read", "keyColumn": "a"}, "read does not take keyColumn"),
        (
            {"operation": "update", "values": {"a": "1"}, "keyColumn": "a", "backfill": False},
            "update does not take backfill",
        ),
        ({"operation": "delete"}, "operation"),
    ],
)
def test_what_a_sheets_node_may_not_say(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        GoogleSheetsConfig.model_validate({**SHEET, **config})


def test_a_member_that_nobody_knows_is_refused() -> None:
    for node_type in NODE_TYPES.values():
        with pytest.raises(ValidationError, match="Extra inputs"):
            node_type.config.model_validate({"nobodyKnows": 1})


def test_a_condition_is_written_as_if() -> None:
    config = ConditionConfig.model_validate({"if": "lead.fields.score > 5"})
    assert config.expression == "lead.fields.score > 5"


def test_generated_files_are_up_to_date() -> None:
    script = Path(__file__).parents[1] / "generate.py"
    check = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr
