"""Whole configs: what is rendered, what is left alone, and where a fault is said to be."""

from typing import Any

import pytest
from mirsal_expressions import (
    ExpressionError,
    ExpressionFault,
    JsonValue,
    check_value,
    render_value,
)

SCOPE: dict[str, Any] = {
    "lead": {"name": "<أحمد>", "email": "a@b.c", "fields": {"big": "x" * 200_000}},
    "run": {"id": "r", "input": {}},
    "nodes": {},
}


def test_strings_at_any_depth_are_rendered_and_nothing_else_changes() -> None:
    config: dict[str, JsonValue] = {
        "to": "{{ lead.email }}",
        "values": {"{{ lead.name }}": "{{ lead.name }}", "list": ["{{ run.id }}", 1, [True, None]]},
        "number": 1.5,
    }
    assert render_value(config, SCOPE) == {
        "to": "a@b.c",
        "values": {"{{ lead.name }}": "<أحمد>", "list": ["r", 1, [True, None]]},
        "number": 1.5,
    }
    assert config["to"] == "{{ lead.email }}"


def test_html_and_verbatim_paths() -> None:
    config: JsonValue = {
        "html": "{{ lead.name }}",
        "htmlNot": "{{ lead.name }}",
        "blocks": [{"a/b": "{{ lead.name }}"}, {"a/b": "{{ lead.name }}"}],
        "code": "f'{{x}}' # {% nope %}",
    }
    rendered = render_value(
        config, SCOPE, html_paths=["/html", "/blocks/1/a~1b"], verbatim_paths=["/code"]
    )
    assert rendered == {
        "html": "&lt;أحمد&gt;",
        "htmlNot": "<أحمد>",
        "blocks": [{"a/b": "<أحمد>"}, {"a/b": "&lt;أحمد&gt;"}],
        "code": "f'{{x}}' # {% nope %}",
    }
    assert check_value(config, verbatim_paths=["/code"]) == []
    assert [fault.pointer for fault in check_value(config)] == ["/code", "/code"]
    assert render_value(["{{ lead.name }}"], SCOPE, html_paths=[""]) == ["&lt;أحمد&gt;"]


def test_a_fault_is_said_with_its_pointer() -> None:
    config: JsonValue = {"values": [{"a/~b": "ok\n{{ lead.fields.nope }}"}]}
    with pytest.raises(ExpressionError) as caught:
        render_value(config, SCOPE)
    assert caught.value.pointer == "/values/0/a~1~0b"
    assert (caught.value.line, caught.value.column) == (2, 4)
    assert str(caught.value).startswith("/values/0/a~1~0b, line 2, column 4: lead.fields.nope does")
    with pytest.raises(ExpressionError) as at_root:
        render_value("{{ lead.fields.nope }}", SCOPE)
    assert at_root.value.pointer == ""


def test_all_faults_of_a_value_are_found() -> None:
    config: JsonValue = {"a": "{{ lead.nmae }}", "b": ["{{ x", 1, "{{ nodes.n.output }}"]}
    faults = check_value(config, node_ids=["m"])
    assert [(fault.pointer, fault.code) for fault in faults] == [
        ("/a", "unknown_member"),
        ("/b/0", "unclosed"),
        ("/b/2", "unknown_node"),
    ]
    assert all(isinstance(fault, ExpressionFault) for fault in faults)


def test_depth_and_size_are_bounded() -> None:
    deep: JsonValue = "{{ run.id }}"
    for _ in range(64):
        deep = [deep]
    assert check_value(deep) == []
    render_value(deep, SCOPE)
    for _ in range(5000):
        deep = [deep]
    assert [fault.code for fault in check_value(deep)] == ["too_deep"]
    with pytest.raises(ExpressionError, match="more than 64 deep"):
        render_value(deep, SCOPE)
    many: JsonValue = ["{{ lead.fields.big }}"] * 3
    with pytest.raises(ExpressionError) as caught:
        render_value(many, SCOPE)
    assert (caught.value.code, caught.value.pointer) == ("output_too_large", "/2")
