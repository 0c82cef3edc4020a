"""Hypothesis on templates: arbitrary text, arbitrary values."""

import html
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mirsal_expressions import (
    ExpressionError,
    check_template,
    compile_template,
    referenced_nodes,
    render_template,
    render_value,
)

FRAGMENTS = st.sampled_from(
    [
        *("{{", "}}", "{%", "%}", "{#", "#}", "-", "|", ".", "[", "]", "(", ")", ",", "=", "=="),
        *(" ", "\n", "'", '"', "\\", "\\u", "lead", "run", "nodes", "name", "fields", "tags", "id"),
        *("if", "elif", "else", "endif", "and", "or", "not", "in", "is", "defined", "true", "null"),
        *("default", "upper", "date", "number", "join", "json", "truncate", "first", "length"),
        *("0", "1.5", "99999999999999999999", "<", ">", "!=", "م", "\u200f", "\ud800", "\x00"),
        *("lead.name", "lead.fields.a", "lead.tags[0]", '"x"', "{{ lead.name }}", "{% endif %}"),
    ]
)
SOURCES = st.one_of(st.lists(FRAGMENTS, max_size=30).map("".join), st.text())
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3)
    ),
    max_leaves=8,
)


def scope_of(value: object, name: object = "x") -> dict[str, Any]:
    return {
        "lead": {"id": "1", "name": name, "tags": [value], "fields": {"a": value}},
        "run": {"id": "r", "input": value},
        "nodes": {"send": {"output": value}},
    }


def outcome(source: str, scope: dict[str, Any], *, as_html: bool) -> str:
    try:
        return "text " + render_template(source, scope, html=as_html)
    except ExpressionError as error:
        return f"error {error}"


@settings(deadline=None, max_examples=600)
@given(source=SOURCES, value=VALUES, as_html=st.booleans())
def test_any_source_renders_or_is_refused_the_same_way_each_time(
    source: str, value: object, as_html: bool
) -> None:
    before = repr(value)
    scope = scope_of(value, value)
    first = outcome(source, scope, as_html=as_html)
    assert outcome(source, scope, as_html=as_html) == first
    assert repr(value) == before


@settings(deadline=None, max_examples=300)
@given(source=SOURCES)
def test_what_the_check_accepts_compiles(source: str) -> None:
    faults = check_template(source, node_ids=None)
    referenced_nodes(source)
    for fault in faults:
        assert fault.code
        assert fault.message
        assert 1 <= (fault.line or 1) <= source.count("\n") + 1
    if not faults:
        compile_template(source)


EXPRESSIONS = st.sampled_from(
    [
        *("lead.fields.a", "lead.tags", "run.input", "lead.tags | join", "lead.fields.a | json"),
        *("lead.fields.a | upper", "lead.fields.a | date", "lead.fields.a | number(2, 'arab')"),
        *("lead.fields.a | truncate(3, '')", "lead.fields.a | length", "lead.fields.a | first"),
        *("lead.fields.a | title('tr')", "lead.fields.a | urlencode", "lead.fields.a.b[0]"),
        *("lead.fields.a | default('d')", "lead.fields.a | date('%Y', lead.fields.a)"),
        *("lead.fields.a | truncate(lead.fields.a)", "lead.fields.a | number(lead.fields.a)"),
        "lead.fields.a | join(lead.fields.a)",
    ]
)


@settings(deadline=None, max_examples=600)
@given(expression=EXPRESSIONS, value=VALUES)
def test_any_value_renders_or_is_refused(expression: str, value: object) -> None:
    outcome("{{ " + expression + " }}", scope_of(value), as_html=False)
    outcome("{% if " + expression + " > 1 %}{% endif %}", scope_of(value), as_html=False)
    outcome("{% if 'x' in " + expression + " %}{% endif %}", scope_of(value), as_html=False)


@settings(deadline=None)
@given(value=TEXTS, before=TEXTS, after=TEXTS)
def test_a_value_is_never_read_as_a_template(value: str, before: str, after: str) -> None:
    before, after = before.replace("{", "("), after.replace("{", "(")
    tricky = "{{ lead.id }}" + value + "{% if true %}"
    source = before + "{{ lead.name }}" + after
    assert render_template(source, scope_of(None, tricky)) == before + tricky + after
    rendered = render_template(source, scope_of(None, tricky), html=True)
    assert rendered == before + html.escape(tricky) + after


@settings(deadline=None)
@given(value=TEXTS)
def test_a_value_cannot_open_a_tag_or_leave_an_attribute(value: str) -> None:
    rendered = render_template("{{ lead.name }}", scope_of(None, value), html=True)
    assert not set("<>\"'") & set(rendered)
    assert html.unescape(rendered) == html.unescape(html.escape(value))


@settings(deadline=None)
@given(text=TEXTS)
def test_any_text_can_be_written_as_a_literal(text: str) -> None:
    literal = json.dumps(text).replace("\\b", "\\u0008").replace("\\f", "\\u000c")
    if "\\ud" not in literal:
        assert render_template("{{ " + literal + " }}", {}) == text


@settings(deadline=None)
@given(value=VALUES)
def test_a_json_value_without_tags_stays_equal(value: Any) -> None:
    plain = json.loads(
        json.dumps(value).replace("{{", "((").replace("{%", "(%").replace("{#", "(#")
    )
    assert repr(render_value(plain, {})) == repr(plain)
