"""What a template renders: look-up, literals, white space, if, and what is missing."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from mirsal_expressions import (
    ExpressionError,
    Template,
    check_template,
    compile_template,
    render_template,
)

SCOPE: dict[str, Any] = {
    "lead": {
        "id": "lead-1",
        "name": "أحمد محمد",
        "email": "ahmed@example.com",
        "phone": None,
        "locale": "ar-AE",
        "timeZone": "Asia/Dubai",
        "tags": ["vip", "عميل"],
        "consent": {"email": True, "whatsapp": False},
        "fields": {
            "keys": "k", "items": "i", "get": "g", "values": "v", "pop": "p", "__class__": "c",
            "x-y": "hyphen", "first name": "space", "المدينة": "دبي", "نام‌خانوادگی": "رضایی",
            "": "empty name", "a.b": "dotted", "2nd": "second", "in": "reserved", "true": "t",
            "null": None, "empty": "", "zero": 0, "no": False, "yes": True,
            "whole": 20.0, "half": 20.5, "big": 1e22, "int": 12345678901234567890, "neg": -3,
            "list": [[1, 2], {"deep": "d"}], "object": {"a": {"b": "c"}},
        },
    },
    "run": {"id": "run-1", "input": {"coupon": "CODE"}},
    "nodes": {"send-mail": {"output": {"messageId": "m-1"}}, "greet": {"output": {}}},
}  # fmt: skip


def render(source: str) -> str:
    assert check_template(source, node_ids=["send-mail", "greet"]) == []
    return render_template(source, SCOPE)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("plain } text }} %} #} { {", "plain } text }} %} #} { {"),
        ("مرحباً {{lead.name}}", "مرحباً أحمد محمد"),
        ("عزيزي {{lead.name}}, شكراً لاهتمامك", "عزيزي أحمد محمد, شكراً لاهتمامك"),
        ("{{ lead.name }}{{ run.id }}", "أحمد محمدrun-1"),
        ("{{\n lead \n . name \t}}", "أحمد محمد"),
        ("{{ \u200flead.name\u200e }}", "أحمد محمد"),
        ("{{\u00a0lead.name\u2069 }}", "أحمد محمد"),
        ("{{ lead.fields.keys }}{{ lead.fields.items }}{{ lead.fields.get }}", "kig"),
        ("{{ lead.fields.values }}{{ lead.fields.pop }}{{ lead.fields.__class__ }}", "vpc"),
        ('{{ lead.fields["x-y"] }}', "hyphen"),
        ("{{ lead['fields']['first name'] }}", "space"),
        ("{{ lead.fields.المدينة }}", "دبي"),
        ("{{ lead.fields.نام‌خانوادگی }}", "رضایی"),
        ('{{ lead.fields[""] }}{{ lead.fields["a.b"] }}', "empty namedotted"),
        ('{{ lead.fields["2nd"] }}{{ lead.fields.in }}{{ lead.fields.true }}', "secondreservedt"),
        ("{{ lead.fields.list[0][1] }}{{ lead.fields.list.1.deep }}", "2d"),
        ("{{ lead.tags[-1] }}", "عميل"),
        ("{{ lead.fields.object.a.b }}", "c"),
        ('{{ nodes["send-mail"].output.messageId }}', "m-1"),
        ("{{ run.input.coupon }}", "CODE"),
        ("{{ lead.phone }}|{{ lead.fields.null }}|{{ lead.fields.empty }}", "||"),
        ("{{ lead.fields.zero }} {{ lead.fields.no }} {{ lead.fields.yes }}", "0 false true"),
        ("{{ lead.fields.whole }} {{ lead.fields.half }} {{ lead.fields.neg }}", "20 20.5 -3"),
        ("{{ lead.fields.big }} {{ lead.fields.int }}", "1e+22 12345678901234567890"),
        ("{{ 'text' }}{{ \"x\" }}{{ 7 }}{{ 7.5 }}{{ true }}{{ null }}", "textx77.5true"),
        (r"""{{ "a\"b\\c\n\u0645" }}""", 'a"b\\c\nم'),
        ('{{ "{{" }}{{ "}}" }}{{ "{%" }}', "{{}}{%"),
        ("{{ (lead.name) }}", "أحمد محمد"),
        ("{{ lead.name }}}", "أحمد محمد}"),
        ("a {# {{ lead.nope }} %} #} b", "a  b"),
        ("a {{- lead.id -}} b", "alead-1b"),
        ("a\n{#- c -#}\nb{{ -5 }}", "ab-5"),
        ("line\r\n{{ lead.id }}\n", "line\r\nlead-1\n"),
    ],
)
def test_renders(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("lead.name", True),
        ("lead.phone", False),
        ("lead.fields.nope", False),
        ("lead.fields.nope.deeper", False),
        ("lead.fields.zero", False),
        ("lead.fields.empty", False),
        ("lead.consent.whatsapp", False),
        ("not lead.consent.whatsapp", True),
        ('lead.id == "lead-1"', True),
        ('lead.id != "lead-1"', False),
        ("lead.fields.whole == 20", True),
        ("lead.fields.yes == 1", False),
        ("lead.fields.zero == false", False),
        ('lead.fields.half == "20.5"', False),
        ("lead.fields.nope == null", True),
        ('lead.fields.nope == "x"', False),
        ("lead.fields.half > 20", True),
        ("lead.fields.half >= 20.5 and lead.fields.half <= 20.5", True),
        ("lead.fields.half < 20.5 or lead.fields.neg < 0", True),
        ('"a" < "b"', True),
        ("lead.fields.neg == -3", True),
        ('"vip" in lead.tags', True),
        ('"x" in lead.tags', False),
        ('"x" not in lead.tags', True),
        ("1 in lead.fields.list", False),
        ('"keys" in lead.fields', True),
        ('"ahmed@" in lead.email', True),
        ('"x" in lead.fields.nope', False),
        ("lead.fields.nope is defined", False),
        ("lead.fields.null is defined", True),
        ("lead.fields.nope is not defined", True),
        ("true and (false or not false)", True),
        ("not not not true", False),
        ('lead.id | upper == "LEAD-1"', True),
        ('lead.fields.nope | default("x") == "x"', True),
        ("false and false or true", True),
        ("true or false and false", True),
        ("(true or false) and false", False),
    ],
)
def test_if(test: str, holds: bool) -> None:
    assert render("{% if " + test + " %}yes{% else %}no{% endif %}") == ("yes" if holds else "no")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% if lead.phone %}a{% endif %}b", "b"),
        ("{% if lead.phone %}a{% elif lead.email %}b{% elif true %}c{% else %}d{% endif %}", "b"),
        ("{% if true %}{% if false %}a{% else %}{{ lead.id }}{% endif %}{% endif %}", "lead-1"),
        ("x {%- if true -%} y {%- endif -%} z", "xyz"),
        ("{% if false %}{{ lead.fields.nope }}{% endif %}", ""),
    ],
)
def test_branches(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "column", "words"),
    [
        ("{{ lead.fields.cty }}", 4, "lead.fields.cty does not exist: lead.fields has "),
        ("{{ lead.fields.المدينه }}", 4, '(did you mean "المدينة"?)'),
        ("{{ lead.fields.nope }}", 4, 'write lead.fields["nope"] | default("...")'),
        ("{{ lead.fields.null.x }}", 4, "lead.fields.null is empty (null)"),
        ("{{ lead.name.x }}", 4, "lead.name is a single value without members"),
        ("{{ lead.name[0] }}", 4, "lead.name is a single value without members"),
        ("{{ lead.tags.x }}", 4, "lead.tags is a list of 2"),
        ("{{ lead.tags[2] }}", 4, "lead.tags[2] does not exist"),
        ("{{ lead.tags[-3] }}", 4, "lead.tags[-3] does not exist"),
        ("{{ lead.fields[0] }}", 4, "lead.fields[0] does not exist"),
        ("{{ nodes.greet.output.id }}", 4, "nodes.greet.output has nothing"),
        ("{{ lead.tags }}", 4, 'lead.tags is not a single value: add | join(", ")'),
        ("{{ lead.fields | upper }}", 18, "upper: takes a single value"),
        ("{{ lead.fields.x | upper }}", 4, "lead.fields.x does not exist"),
        ("{{ lead.fields.x | default(lead.fields.y) }}", 20, "lead.fields.y does not exist"),
        ("{% if lead.name < 3 %}{% endif %}", 17, "compares two numbers or two texts"),
        ("{% if lead.fields.nope > 3 %}{% endif %}", 24, "compares two numbers"),
        ("{% if lead.fields == lead.tags %}{% endif %}", 19, "cannot be compared"),
        ("{% if 1 in lead.name %}{% endif %}", 9, "`in` looks for"),
        ("{% if 1 in lead.fields.zero %}{% endif %}", 9, "`in` looks for"),
        ("{% if lead.fields.yes > 0 %}{% endif %}", 23, "compares two numbers"),
    ],
)
def test_what_a_run_refuses(source: str, column: int, words: str) -> None:
    assert check_template(source, node_ids=["greet"]) == []
    with pytest.raises(ExpressionError) as caught:
        render_template(source, SCOPE)
    assert words.replace('["nope"]', ".nope") in caught.value.message
    assert (caught.value.line, caught.value.column) == (1, column)


def test_an_error_names_members_but_never_values() -> None:
    scope = {"lead": {"name": "SECRET-NAME", "fields": {"city": "SECRET-CITY"}}}
    for source in (
        "{{ lead.fields.town }}",
        "{{ lead.name.first }}",
        "{{ lead.name | date }}",
        "{{ lead.name | number }}",
        "{{ lead.fields | trim }}",
        "{% if lead.name > 3 %}{% endif %}",
    ):
        with pytest.raises(ExpressionError) as caught:
            render_template(source, scope)
        assert "SECRET" not in str(caught.value)


def test_an_error_says_line_and_column() -> None:
    with pytest.raises(ExpressionError) as caught:
        render_template("مرحباً\nأهلاً {{ lead.nope }}", SCOPE)
    assert (caught.value.line, caught.value.column) == (2, 10)
    assert str(caught.value).startswith("line 2, column 10: lead.nope does not exist")


def test_html_escapes_what_comes_from_values_and_literals_only() -> None:
    scope = {"lead": {"name": """<b a="1" b='2'>&"""}}
    source = """<p title="{{ lead.name }}">{{ "<i>" }}</p>"""
    escaped = "&lt;b a=&quot;1&quot; b=&#x27;2&#x27;&gt;&amp;"
    rendered = render_template(source, scope, html=True)
    assert rendered == f'<p title="{escaped}">&lt;i&gt;</p>'
    assert render_template("{{ lead.name | truncate(3) }}", scope, html=True) == "&lt;b…"


def test_a_compiled_template_renders_again_and_again() -> None:
    template = compile_template("{{ lead.name }}", html=True)
    assert isinstance(template, Template)
    assert template.html
    assert [template.render({"lead": {"name": name}}) for name in "<ب"] == ["&lt;", "ب"]


def test_a_scope_without_a_root_is_an_error_not_a_crash() -> None:
    with pytest.raises(ExpressionError, match="nodes does not exist here"):
        render_template("{{ nodes.a.output }}", {"lead": {}})


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ExpressionError, match="lone surrogate"):
        render_template("{{ lead.name }}", {"lead": {"name": "\ud800"}})


def test_dates_and_ids_of_python_have_a_text_too() -> None:
    uuid = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    scope = {"lead": {"fields": {"day": date(2025, 3, 5), "sum": Decimal("1.50"), "id": uuid}}}
    source = "{{ lead.fields.day }} {{ lead.fields.sum }} {{ lead.fields.id }}"
    assert render_template(source, scope) == f"2025-03-05 1.50 {uuid}"


def test_an_integer_too_long_to_write_is_refused() -> None:
    scope = {"lead": {"fields": {"n": 10**5000}}}
    with pytest.raises(ExpressionError, match=r"lead.fields.n is not a single value"):
        render_template("{{ lead.fields.n }}", scope)
    assert render_template("{{ lead.fields.n }}", {"lead": {"fields": {"n": 10**1000}}})
