"""Every example of docs/EXPRESSIONS.md does what the document says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mirsal_expressions import (
    ExpressionError,
    check_condition,
    check_template,
    evaluate_condition,
    render_template,
)
from mirsal_expressions.filters import FILTERS

DOCUMENT = (Path(__file__).parents[3] / "docs" / "EXPRESSIONS.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| `(.+?)` \| `(.+?)` \|")


def scope() -> Any:
    block = re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    assert block
    return json.loads(block.group(1))


SCOPE = scope()
NODES = list(SCOPE["nodes"])


def examples(first: str, second: str) -> list[tuple[str, str]]:
    """The rows of all tables with this heading."""
    rows = []
    for table in DOCUMENT.split(f"| {first} | {second} |\n")[1:]:
        for line in table.split("\n\n")[0].splitlines()[1:]:
            row = ROW.fullmatch(line)
            assert row, line
            rows.append((row.group(1).replace("\\|", "|"), row.group(2).replace("\\|", "|")))
    return rows


@pytest.mark.parametrize(("source", "text"), examples("Template", "Gives"))
def test_template(source: str, text: str) -> None:
    assert check_template(source, node_ids=NODES) == []
    assert render_template(source, SCOPE) == text


@pytest.mark.parametrize(("source", "text"), examples("Template in HTML", "Gives"))
def test_template_in_html(source: str, text: str) -> None:
    assert render_template(source, SCOPE, html=True) == text


@pytest.mark.parametrize(("source", "text"), examples("Condition", "Gives"))
def test_condition(source: str, text: str) -> None:
    assert check_condition(source, node_ids=NODES) == []
    assert evaluate_condition(source, SCOPE) is (text == "true")


@pytest.mark.parametrize(("source", "words"), examples("Template", "Refused"))
def test_refused_template(source: str, words: str) -> None:
    faults = check_template(source, node_ids=NODES)
    if faults:
        assert [fault.message for fault in faults] == [words]
        return
    with pytest.raises(ExpressionError) as caught:
        render_template(source, SCOPE)
    assert caught.value.message == words


@pytest.mark.parametrize(("source", "words"), examples("Condition", "Refused"))
def test_refused_condition(source: str, words: str) -> None:
    faults = check_condition(source, node_ids=NODES)
    if faults:
        assert [fault.message for fault in faults] == [words]
        return
    with pytest.raises(ExpressionError) as caught:
        evaluate_condition(source, SCOPE)
    assert caught.value.message == words


def test_every_filter_is_documented() -> None:
    table = DOCUMENT.split("| filter | does |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)", table)) >= set(FILTERS)


def test_the_document_has_examples() -> None:
    assert len(examples("Template", "Gives")) >= 35
    assert len(examples("Condition", "Gives")) >= 15
