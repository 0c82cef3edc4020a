"""What the check of a template refuses, where, and which remedy it names."""

import pytest
from mirsal_expressions import ExpressionError, check_template, compile_template

FAULTS = [
    ("{{", 1, "unclosed", 'to write the braces as text, use {{ "{{" }}'),
    ("مرحباً {{ lead.name", 8, "unclosed", "{{ is never closed: add }}"),
    ("{% if lead.name", 1, "unclosed", "add %}"),
    ("{# a", 1, "unclosed", "add #}"),
    ('{{ "abc }}', 4, "unclosed", 'the text is never closed: add "'),
    ("{% if lead.name %}a", 1, "unclosed", "add {% endif %}"),
    ("{{ '}}' ", 9, "unclosed", "the tag is never closed"),
    ("{{ lead.name | truncate(3 4) }}", 27, "syntax", "4 is not expected here"),
    ("{{ lead.name | truncate(length 4) }}", 32, "syntax", "4 is not expected here"),
    ("{{ }}", 4, "syntax", "name a member such as lead.name"),
    ("{{ lead.name %} }}", 14, "syntax", "%} comes too early"),
    ("{{ lead. }}", 10, "syntax", "the name of a member follows the dot"),
    ("{{ lead..name }}", 9, "syntax", "the name of a member follows the dot"),
    ("{{ lead[name] }}", 9, "syntax", "in brackets stands a name in quotes"),
    ("{{ lead[0.5] }}", 9, "syntax", "in brackets stands a name in quotes"),
    ("{{ lead[0 }}", 11, "syntax", "}} comes too early"),
    ("{{ lead.name lead.id }}", 14, "syntax", "lead is not expected here"),
    ("{{ lead.name {{ lead.id }}", 14, "syntax", "is an earlier {{ closed"),
    ("{{ “x” }}", 4, "syntax", "straight quotes"),
    ("{{ lead.name؟ }}", 13, "syntax", "the character ؟ has no meaning here"),
    ('{{ "\\q" }}', 5, "syntax", "the escape \\q is not known"),
    ('{{ "\\ud800" }}', 5, "syntax", "is not known"),
    ("{{ 12345678901234567890 }}", 4, "syntax", "more than 15 digits"),
    ("{{ name }}", 4, "unknown_name", "did you mean lead.name?"),
    ("{{ led.name }}", 4, "unknown_name", "did you mean lead?"),
    ("{{ city }}", 4, "unknown_name", "a field of the lead is lead.fields.city"),
    ("{{ lead.nmae }}", 4, "unknown_member", "did you mean lead.name?"),
    ("{{ lead.city }}", 4, "unknown_member", "a field of your own is lead.fields.city"),
    ("{{ lead.time_zone }}", 4, "unknown_member", "did you mean lead.timeZone?"),
    ("{{ run.coupon }}", 4, "unknown_member", "run.input.coupon"),
    ("{{ nodes.greet.id }}", 4, "unknown_member", "write nodes.greet.output.id"),
    ("{{ nodes }}", 4, "unknown_node", "name the node"),
    ("{{ nodes[0].output }}", 4, "unknown_node", "name the node"),
    ("{{ nodes.gret.output }}", 4, "unknown_node", "did you mean nodes.greet?"),
    ("{{ nodes.other.output }}", 4, "unknown_node", "the nodes are greet, send-mail"),
    ("{{ nodes.send-mail.output.id }}", 10, "hyphen", 'write nodes["send-mail"]'),
    ("{{ nodes.send-mail }}", 10, "hyphen", 'write nodes["send-mail"]'),
    ("{{ lead.fields.first-name }}", 16, "hyphen", 'write lead.fields["first-name"]'),
    ("{{ lead.name() }}", 13, "forbidden_call", "use a filter"),
    ("{{ upper(lead.name) }}", 4, "forbidden_call", "use a filter"),
    ("{{ lead.fields.a + 1 }}", 18, "forbidden_operator", "no arithmetic"),
    ("{{ lead.fields.a - 1 }}", 18, "forbidden_operator", "no arithmetic"),
    ("{{ lead.fields.a * 9 }}", 18, "forbidden_operator", "no arithmetic"),
    ("{{ lead.name == 1 }}", 14, "forbidden_operator", "tests stand in {% if"),
    ("{{ lead.name if true }}", 14, "forbidden_operator", "tests stand in {% if"),
    ("{{ (lead.name or true) }}", 15, "forbidden_operator", "tests stand in {% if"),
    ("{% if true && true %}{% endif %}", 12, "forbidden_operator", "write and"),
    ("{% if true || true %}{% endif %}", 12, "forbidden_operator", "write or"),
    ("{% if !true %}{% endif %}", 7, "forbidden_operator", "write not"),
    ("{% if lead.name = 1 %}{% endif %}", 17, "syntax", "to compare, write =="),
    ("{% if lead.name is none %}{% endif %}", 17, "syntax", "is defined"),
    ("{% if lead.name not 1 %}{% endif %}", 17, "syntax", "write not in"),
    ("{% if %}{% endif %}", 7, "syntax", "%} comes too early"),
    ("{% else %}", 4, "syntax", "no if before it"),
    ("{% endif %}", 4, "syntax", "no if before it"),
    ("{% if true %}{% else %}{% else %}{% endif %}", 27, "syntax", "else is the last branch"),
    ("{% for x in lead.tags %}", 4, "forbidden_tag", "there are no loops"),
    ("{% set x = 1 %}", 4, "forbidden_tag", "no variables"),
    ("{% raw %}", 4, "forbidden_tag", 'write braces as {{ "{{" }}'),
    ("{% nope %}", 4, "forbidden_tag", "the only tags are if, elif, else and endif"),
    ("{{ lead.name | safe }}", 16, "unknown_filter", "always escaped"),
    ("{{ lead.name | uper }}", 16, "unknown_filter", "the filters are date, default"),
    ("{{ lead.name || upper }}", 14, "forbidden_operator", "write or"),
    ("{{ lead.name | }}", 16, "unknown_filter", "the name of a filter follows the |"),
    ("{{ lead.name | default }}", 16, "filter", 'default needs its fallback: default("...")'),
    ("{{ lead.name | trim(1) }}", 21, "filter", "trim takes no arguments"),
    ('{{ lead.name | upper("tr", 2) }}', 28, "filter", "upper takes locale"),
    ('{{ lead.name | upper("tr", locale="tr") }}', 28, "filter", "each once"),
    ('{{ lead.name | upper(language="tr") }}', 22, "unknown_name", "language"),
    ('{{ lead.name | date("%Q") }}', 16, "filter", "the format has no %Q; it has %Y"),
    ('{{ lead.name | date(timeZone="Mars/One") }}', 16, "filter", "the time zone is not known"),
    ("{{ lead.name | number(-1) }}", 16, "filter", "decimals is a whole number from 0"),
    ('{{ lead.name | number(digits="roman") }}', 16, "filter", 'digits is "latn"'),
]


@pytest.mark.parametrize(("source", "column", "code", "words"), FAULTS)
def test_fault(source: str, column: int, code: str, words: str) -> None:
    faults = check_template(source, node_ids=["greet", "send-mail"])
    assert [(fault.code, fault.line, fault.column) for fault in faults] == [(code, 1, column)]
    assert words in faults[0].message


@pytest.mark.parametrize(("source", "column", "code", "words"), FAULTS)
def test_what_does_not_parse_does_not_compile(
    source: str, column: int, code: str, words: str
) -> None:
    if code in ("unknown_member", "unknown_node"):
        compile_template(source)
        return
    with pytest.raises(ExpressionError) as caught:
        compile_template(source)
    assert (caught.value.code, caught.value.column) == (code, column)
    assert words in caught.value.message


def test_all_faults_are_found_in_one_check() -> None:
    source = (
        "{{ name }}\n{{ lead.nmae }} {{ lead.name | nope }}\n{% for x %}{{ 1 + 1 }}{{ lead.id }}"
    )
    places = [(fault.code, fault.line, fault.column) for fault in check_template(source)]
    assert places == [
        ("unknown_name", 1, 4),
        ("unknown_member", 2, 4),
        ("unknown_filter", 2, 32),
        ("forbidden_tag", 3, 4),
        ("forbidden_operator", 3, 17),
    ]


def test_a_faulty_if_is_one_fault() -> None:
    faults = check_template("{% if lead.name = 1 %}a{% elif nope %}b{% else %}c{% endif %}")
    assert [fault.code for fault in faults] == ["syntax", "unknown_name"]


def test_nodes_that_may_be_read() -> None:
    source = "{{ nodes.greet.output.id }}"
    assert check_template(source, node_ids=["greet"]) == []
    assert check_template(source, node_ids=None) == []
    assert [fault.code for fault in check_template(source)] == ["unknown_node"]
    assert "no other nodes" in check_template(source)[0].message


@pytest.mark.parametrize("field", ["keys", "items", "get", "anything", "المدينة", "__class__"])
def test_any_field_of_a_lead_may_be_read(field: str) -> None:
    assert check_template("{{ lead.fields." + field + " }}{{ run.input." + field + " }}") == []
