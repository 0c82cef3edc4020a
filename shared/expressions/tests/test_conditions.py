"""What a condition gives: comparison, presence, texts, lists, dates; in any script."""

import json
from typing import Any

import pytest
from mirsal_expressions import ExpressionError, check_condition, evaluate_condition

SCOPE: dict[str, Any] = {
    "lead": {
        "id": "lead-1",
        "name": "أحمد",
        "email": None,
        "locale": "tr",
        "tags": ["vip", "عميل"],
        "consent": {"email": True},
        "fields": {
            "age": 20.0, "visits": 20, "price": 19.99, "city": "Dubai", "المدينة": "دبي",
            "x-y": "h", "null": None, "when": "2025-03-05T22:15:00Z", "in": 1,
            "digits": "0501234567",
            "keys": "k", "items": "i", "big": 2**70, "list": [[1], {"a": "b"}], "empty": "",
            "object": {"a": {"b": 1}},
        },
    },
    "run": {
        "id": "run-1",
        "input": {"items": [{"price": 5, "الاسم": "قلم"}, {"price": 50.5, "الاسم": "كتاب"}]},
    },
    "nodes": {"send-mail": {"output": {"id": "m-1"}}, "check": {"output": {"result": True}}},
}  # fmt: skip

HOLDS = [
    "true",
    "lead.fields.age > 18",
    "lead.fields.age == 20 && lead.fields.visits == 20.0",
    "lead.fields.visits > 19.5 && 19.5 < lead.fields.visits",
    "lead.fields.age in [20] && lead.fields.visits in [20.0]",
    "lead.fields.price * 2.0 > 39.0",
    "double(lead.fields.visits) * 1.5 == 30.0",
    "int(lead.fields.age) % 7 == 6",
    "lead.fields.big > 1000",
    'lead.name == "أحمد"',
    "lead.name == 'أحمد'",
    'lead.fields["المدينة"] == "دبي"',
    'lead.fields.المدينة == "دبي"',
    'lead.fields["x-y"] == "h"',
    'lead["name"] == "أحمد"',
    "lead.fields.in == 1",
    'lead.fields.keys + lead.fields.items == "ki"',
    "has(lead.fields.city) && !has(lead.fields.nope)",
    "has(lead.fields.المدينة) && !has(lead.fields.القرية)",
    'has(lead.fields["x-y"]) && !has(lead.fields["y-x"])',
    "has(lead.fields.in) && has(lead.fields.null)",
    "lead.fields.null == null",
    "lead.email == null || lead.email.endsWith('@x')",
    "!(has(lead.fields.nope) && lead.fields.nope > 3)",
    'lead.fields.nope == "x" || true',
    'has(lead.fields.nope) ? false : lead.fields.city == "Dubai"',
    '"vip" in lead.tags && !("x" in lead.tags)',
    '"city" in lead.fields',
    'lead.tags.exists(t, t == "عميل")',
    "lead.tags.all(t, size(t) >= 3)",
    'lead.tags.exists_one(t, t.startsWith("v"))',
    "lead.tags.filter(t, size(t) > 3) == ['عميل']",
    "run.input.items.exists(i, i.price > 50 && i.الاسم == 'كتاب' && has(i.الاسم))",
    "run.input.items.filter(i, has(i.nope)).size() == 0",
    "run.input.items[1].price == 50.5",
    'run.input.items[0]["الاسم"] == "قلم"',
    "run.input.items.all(a, run.input.items.exists(b, b.price >= a.price))",
    "lead.fields.list[0][0] == 1 && lead.fields.list[1].a == 'b'",
    "lead.fields.object.a.b == 1",
    "lead.fields.object == {'a': {'b': 1}}",
    "size(lead.name) == 4 && lead.name.size() == 4",
    "size(lead.tags) == 2 && size(lead.consent) == 1 && size('') == 0",
    'lead.name.startsWith("أح") && lead.name.endsWith("مد") && lead.name.contains("حم")',
    'lower("ISTANBUL", "tr") == "ıstanbul" && "i".upper(lead.locale) == "İ"',
    'lead.fields.city.lower() == "dubai" && upper(lead.fields.city) == "DUBAI"',
    'trim("  x ") == "x"',
    'lead.fields.digits.matches("^05[0-9]{8}$")',
    r'lead.fields.digits.matches(r"^\d+$") && lead.name.matches("^\\pL+$")',
    'string(lead.fields.visits) == "20" && int("7") == 7 && double("1.5") == 1.5',
    "type(lead.fields.visits) == int && type(lead.fields.age) == double",
    "type(lead.name) == string && type(lead.tags) == list && type(lead.fields) == map",
    'timestamp(lead.fields.when) > timestamp("2025-01-01T00:00:00Z")',
    "timestamp(lead.fields.when).getFullYear() == 2025",
    'timestamp(lead.fields.when) + duration("2h") > timestamp(lead.fields.when)',
    'nodes["send-mail"].output.id == "m-1" && nodes.check.output.result',
    'lead.id == "lead-1" // a comment\n && run.id == "run-1"',
    '"//" != "a" && "a.b(c)" != "lead.nope"',
    r'"\"\\\n\u0645" != "" && "\"" == ' + "'\"'",
    "lead.consent.email",
    "\u200flead.name\u200e == \u00a0'أحمد'",
    "-lead.fields.age < 0 && !!true",
    "1e3 == 1000.0 && 0x1F == 31",
]


@pytest.mark.parametrize("source", HOLDS)
def test_holds(source: str) -> None:
    assert check_condition(source, node_ids=["send-mail", "check"]) == []
    assert evaluate_condition(source, SCOPE) is True
    assert evaluate_condition(f"!({source}\n)", SCOPE) is False


@pytest.mark.parametrize(
    ("source", "code", "column", "words"),
    [
        ("lead.fields.nope == 1", "missing_member", 1, "test first: has(lead.fields.nope) && ..."),
        ("1 == lead.fields.cty", "missing_member", 6, '(did you mean "city"?)'),
        ('lead.fields["y-x"] == 1', "missing_member", 1, 'has(lead.fields["y-x"])'),
        ("lead.fields.nope.x == 1", "missing_member", 1, "has(lead.fields.nope)"),
        ("has(lead.fields.nope.x)", "missing_member", 5, "lead.fields.nope does not exist"),
        ("nodes.gone.output.x == 1", "missing_member", 1, "nodes.gone does not exist"),
        ("run.input.items.exists(i, i.nope)", "missing_member", None, "nope does not exist"),
        ("run.input.items[7].price == 1", "missing_member", None, "no item at this index"),
        ("lead.fields[lead.id] == 1", "missing_member", None, "it asks for"),
        ("lead.fields.null > 3", "wrong_kind", 1, "lead.fields.null is empty (null)"),
        ("lead.fields.null.x == 3", "wrong_kind", 1, "lead.fields.null is empty (null)"),
        ("lead.name.x == 3", "wrong_kind", 1, "single value without members"),
        ("lead.fields.city > 3", "wrong_kind", None, "a text and a number do not compare"),
        ("lead.fields.visits + 1.5 > 3.0", "wrong_kind", None, "write double(...) around both"),
        ("lead.email.endsWith('x')", "wrong_kind", None, "endsWith() cannot take this value"),
        ("size(lead.fields.visits) > 1", "wrong_kind", None, "size() cannot take this value"),
        ("lower(lead.email) == 'x'", "wrong_kind", None, "lower() cannot take this value"),
        ("trim('a', 'b') == 'x'", "wrong_kind", None, "trim() cannot take this value"),
        ("timestamp(lead.name) > timestamp('2025-01-01T00:00:00Z')", "wrong_kind", None, "cannot"),
        ("int(lead.name) > 1", "wrong_kind", None, "int() cannot take this value"),
        ("lead.fields.visits / 0 == 1", "division_by_zero", None, "test the divisor"),
        ("9223372036854775807 + 1 > 0", "overflow", None, "too large"),
        ("lead.name", "not_boolean", None, "compare it with something"),
        ("1", "not_boolean", None, "compare it with something"),
        ("null", "not_boolean", None, "compare it with something"),
        ("lead.tags", "not_boolean", None, "compare it with something"),
        ("lead.consent.email ? 1 : 2", "not_boolean", None, "compare it with something"),
    ],
)
def test_what_a_run_refuses(source: str, code: str, column: int | None, words: str) -> None:
    assert check_condition(source, node_ids=["gone"]) == []
    with pytest.raises(ExpressionError) as caught:
        evaluate_condition(source, SCOPE)
    assert (caught.value.code, caught.value.column) == (code, column)
    assert words in caught.value.message
    assert SCOPE["lead"]["name"] not in str(caught.value)
    assert "lead-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "column", "code", "words"),
    [
        ("", 1, "syntax", "the condition is empty"),
        (" // only a comment", 1, "syntax", "the condition is empty"),
        ('lead.fields.city = "x"', 18, "syntax", "to compare, write =="),
        ("lead.name ==", 11, "syntax", "ends too early"),
        ('lead.name == "أحمد" "ب"', 21, "syntax", '"ب" is not expected here'),
        ("lead.name == “x”", 14, "syntax", "straight quotes"),
        ('lead.name == "x', 14, "syntax", "the text is never closed"),
        ('lead.name == "\\d"', 15, "syntax", "the escape \\d is not known"),
        ("lead.fields.age > ٢٠", 19, "syntax", "write it as 20"),
        ("lead.fields.age > 20x", 19, "syntax", "no number that can be read"),
        ("lead.fields.age > 9223372036854775808", 19, "syntax", "too many digits"),
        ('(lead.name == "x"', 1, "unclosed", "this ( is never closed"),
        ('lead.name == "x")', 17, "syntax", "this ) closes nothing"),
        ("lead.tags[0", 10, "unclosed", "this [ is never closed"),
        ("lead..name == 1", 5, "syntax", "the name of a member follows the dot"),
        (".lead == 1", 1, "syntax", "the name of a member follows the dot"),
        ("lead.name & true", 11, "syntax", "write &&"),
        ("lead.name | upper", 11, "syntax", "filters belong to templates"),
        ("true and false", 6, "syntax", "write && instead of and"),
        ("not true", 1, "syntax", "write ! instead of not"),
        ("lead.consent.email == True", 23, "syntax", "write true"),
        ('name == "x"', 1, "unknown_name", "did you mean lead.name?"),
        ("lead.fields.city == Dubai", 21, "unknown_name", 'a text is written in quotes, "Dubai"'),
        ("lead.fields.city == دبي", 21, "unknown_name", 'a text is written in quotes, "دبي"'),
        ("lead.tags.exists(t, true) && t == 1", 30, "unknown_name", "t is not known here"),
        ("lead.nmae == 1", 1, "unknown_member", "did you mean lead.name?"),
        ("lead.city == 1", 1, "unknown_member", "lead.fields.city"),
        ("has(run.coupon)", 5, "unknown_member", "run.input.coupon"),
        ("nodes.send-mail.output.id == 1", 7, "hyphen", 'write nodes["send-mail"]'),
        ("nodes.other.output.id == 1", 1, "unknown_node", "the nodes are send-mail"),
        ("nodes[lead.name].output == 1", 1, "unknown_node", "name the node"),
        ("size(nodes) == 1", 6, "unknown_node", "name the node"),
        ('nodes["send-mail"].id == 1', 1, "unknown_member", 'nodes["send-mail"].output.id'),
        ("foo(1)", 1, "unknown_function", "there are size, lower"),
        ("lead.name.foo()", 11, "unknown_function", "there are contains"),
        ("now() > 1", 1, "unknown_function", "knows no clock"),
        ('contains(lead.name, "x")', 1, "unknown_function", "it follows a value"),
        ("exists(lead.tags, t, true)", 1, "unknown_function", "it follows a list"),
        ("lead.tags.map(t, t) == []", 11, "unknown_function", "use exists, all or filter"),
        ("lead.name.length() == 1", 11, "unknown_function", "write size(...)"),
        ("lead.tags.exists(t)", 18, "syntax", "exists takes a name and a test"),
        ("lead.tags.exists(lead, true)", 18, "syntax", "exists takes a name and a test"),
        ("lead.tags.exists(1, true)", 18, "syntax", "exists takes a name and a test"),
        ("has(lead)", 5, "syntax", "has() takes a member"),
        ("has(lead.tags[0])", 14, "syntax", "[ is not expected here"),
        ("Foo{a: 1}", 1, "syntax", "objects of a named type"),
        ("lead.name.matches(lead.id)", 19, "pattern", "matches takes one text"),
        ('lead.name.matches("a" + "b")', 19, "pattern", "matches takes one text"),
        ('lead.name.matches("[")', 19, "pattern", "no regular expression"),
        ('lead.name.matches("(?=a)")', 19, "pattern", "no regular expression"),
        ('lead.tags.exists(t, t.matches("a"))', 23, "pattern", "cannot stand in a loop"),
    ],
)
def test_fault(source: str, column: int, code: str, words: str) -> None:
    faults = check_condition(source, node_ids=["send-mail"])
    assert [(fault.code, fault.line, fault.column) for fault in faults] == [(code, 1, column)]
    assert words in faults[0].message


def test_a_fault_on_a_later_line_is_said_there() -> None:
    fault = check_condition('lead.name == "x" // c\n  && lead.id == == 1')[0]
    assert (fault.line, fault.column) == (2, 17)
    with pytest.raises(ExpressionError, match="line 2, column 17"):
        evaluate_condition('lead.name == "x" // c\n  && lead.id == == 1', SCOPE)


def test_all_unknown_members_are_found() -> None:
    faults = check_condition("lead.nmae == 1 && nodes.b.output.x && run.x == 1", node_ids=["a"])
    assert [fault.code for fault in faults] == ["unknown_member", "unknown_node", "unknown_member"]


def test_only_what_is_read_is_converted() -> None:
    class Unreadable:
        pass

    scope = {"lead": {"name": "x", "fields": {"a": 1, "b": Unreadable()}}, "run": Unreadable()}
    assert evaluate_condition("lead.fields.a == 1 && !has(lead.fields.c)", scope)
    with pytest.raises(ExpressionError, match="cannot stand in a condition"):
        evaluate_condition("lead.fields.b == 1", scope)
    with pytest.raises(ExpressionError, match="nodes does not exist here"):
        evaluate_condition("nodes.a.output == 1", scope)


@pytest.mark.parametrize(
    "value", [2**2000, "\ud800", ["\udfff"], float("nan"), -(2**63) - 1, {"": None}]
)
def test_odd_values_are_answered_or_refused(value: object) -> None:
    scope = {"lead": {"fields": {"x": value}}}
    try:
        assert evaluate_condition('lead.fields.x == "a"', scope) is False
    except ExpressionError as error:
        assert error.code == "failed"  # noqa: PT017  # both outcomes are right


def test_values_are_data_not_conditions() -> None:
    for text in ['true || "', "lead.id", '" == "" || "', "\\", "//", '"""', "أ\u0000"]:
        scope = {"lead": {"name": text, "id": "x"}}
        assert evaluate_condition(f"lead.name == {json.dumps(text)}", scope) is True
        assert evaluate_condition('lead.name == "other"', scope) is False


def test_the_library_logs_nothing_of_a_refused_value(capfd: pytest.CaptureFixture[str]) -> None:
    for source in ("size(lead.id) > 1", "lower(lead.tags) == 'x'", "trim() == 'x'"):
        with pytest.raises(ExpressionError):
            evaluate_condition(source, {"lead": {"id": 1, "tags": ["SECRET"]}})
    assert capfd.readouterr() == ("", "")
