"""docs/TELEMETRY.md's table of log events is what the code says, and nobody's words get into it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

import pytest
from mirsal_runtime.log_fields import FIELDS

from tests.telemetry.log_calls import ROOT, Line, find_lines, lines_of

PAGE = ROOT / "docs" / "TELEMETRY.md"
ROW = re.compile(r"^\| `(\w+)` \| ([\w, ]+) \| ([\w, -]+) \|([\w, ]*)\| \S.* \|$", re.MULTILINE)
LINES = [*find_lines()]
# Of the values of a log call these are attributes of people, or texts that hold them.
PERSONAL = {
    "email", "phone", "to", "recipient", "lead_id", "lead", "config", "input", "body",
    "text", "subject", "message", "details", "args", "url", "value", "token", "password", "secret",
}  # fmt: skip
MAKERS_OF_TEXT = {"str", "repr", "format", "join", "format_exc", "format_tb", "dumps"}


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def faults_of(line: Line) -> list[str]:
    """What may not be in a log call."""
    faults = [f"no type for {name}" for name in line.values if name not in FIELDS]
    for name, value in line.values.items():
        for node in ast.walk(value):
            match node:
                case ast.JoinedStr():
                    faults.append(f"{name} is formatted")
                case ast.Call(func=ast.Name(id=made) | ast.Attribute(attr=made)) if (
                    made in MAKERS_OF_TEXT
                ):
                    faults.append(f"{name} is made by {made}")
                case ast.Attribute(attr=attribute, value=holder) if (
                    attribute in PERSONAL or ast.unparse(holder).rpartition(".")[2] == "lead"
                ):
                    # A type's name is ours; `pseudonyms.of_lead` is what makes a lead a pseudonym.
                    if not ast.unparse(value).startswith("pseudonyms.of_lead("):
                        faults.append(f"{name} is {ast.unparse(holder)}.{attribute}")
    return faults


def test_the_table_of_events_is_complete_and_true() -> None:
    text = PAGE.read_text("utf-8").partition("\n## Logs\n")[2]
    said = {
        event: (_words(levels), _words(services), _words(fields))
        for event, levels, services, fields in ROW.findall(text)
    }
    assert len(said) == text.count("\n| `"), "each row has its five columns"
    true: dict[str, tuple[set[str], set[str], set[str]]] = defaultdict(
        lambda: (set(), set(), set())
    )
    for line in LINES:
        for kept, found in zip(
            true[line.event], ({line.level}, {line.service}, line.values), strict=True
        ):
            kept.update(found)
    assert said == {event: tuple(map(frozenset, each)) for event, each in true.items()}


def test_no_log_call_has_anybodys_words() -> None:
    assert [f"{line.place}: {fault}" for line in LINES for fault in faults_of(line)] == []


def test_every_type_of_field_is_used() -> None:
    bound = {"trace_id"}
    assert FIELDS.keys() - {name for line in LINES for name in line.values} - bound == set()


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ('log.info("x", error=str(error))', "error is made by str"),
        ('log.info("x", reason=repr(error))', "reason is made by repr"),
        ('log.info("x", reason=f"no {lead}")', "reason is formatted"),
        ('log.info("x", code=lead.email)', "code is lead.email"),
        ('log.info("x", code=order.lead.name)', "code is order.lead.name"),
        ('log.info("x", run_id=command.lead_id)', "run_id is command.lead_id"),
        ('log.info("x", phone=1)', "no type for phone"),
        ('log.info("x", **lead)', "no type for **"),
        ('log.info("x", reason=", ".join(error.args))', "reason is made by join"),
        ('waits = Complaint("y")\nwaits.say(error=error.message)', "error is error.message"),
    ],
)
def test_a_call_with_somebodys_words_is_found(call: str, fault: str) -> None:
    (line,) = lines_of(call, "gateway")
    assert fault in faults_of(line)


def test_events_are_found_however_they_are_logged() -> None:
    text = """
self._waits = Complaint("one")
self._waits.say()
(successes if good else log).info("two" if good else "three")
structlog.get_logger(__name__).warning("four")
log.exception("five")
task.exception()
log.error("a text %s")
"""
    assert [line.event for line in lines_of(text, "runtime")] == [
        "one", "two", "three", "four", "five", "a text %s",
    ]  # fmt: skip
