"""The filters on texts, lists and missing members."""

import pytest
from mirsal_expressions import ExpressionError, check_template, render_template

SCOPE = {
    "lead": {
        "name": "  ali İhsan o'neil  ",
        "locale": "tr-TR",
        "phone": None,
        "tags": ["vip", 3, None, True],
        "fields": {
            "empty": "",
            "zero": 0,
            "no": False,
            "arabic": "مُحَمَّد علي",
            "list": [],
            "nested": [[1]],
            "object": {"ب": 1.5, "a": [None, True]},
            "nan": float("nan"),
            "deep": None,
            "half": "\udc00",
        },
    },
}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ('lead.fields.nope | default("x")', "x"),
        ('lead.fields.nope.deeper | default("x")', "x"),
        ('lead.phone | default("x")', "x"),
        ('lead.fields.empty | default("x")', "x"),
        ('lead.fields.zero | default("x")', "0"),
        ('lead.fields.no | default("x")', "false"),
        ("lead.fields.nope | default(lead.locale)", "tr-TR"),
        ('lead.fields.nope | default(lead.fields.nope2) | default("x")', "x"),
        ('lead.fields.nope | default(fallback="x")', "x"),
        ('lead.fields.nope | default("x") | upper', "X"),
        ("lead.name | trim", "ali İhsan o'neil"),
        ('"straße" | upper', "STRASSE"),
        ('"istanbul ısı" | upper', "ISTANBUL ISI"),
        ('"istanbul ısı" | upper("tr")', "İSTANBUL ISI"),
        ('"istanbul" | upper(lead.locale)', "İSTANBUL"),
        ('"istanbul" | upper(locale="az_AZ")', "İSTANBUL"),
        ('"istanbul" | upper(lead.phone)', "ISTANBUL"),
        ('"İSTANBUL ISI" | lower', "istanbul isi"),
        ('"İSTANBUL ISI" | lower("tr")', "istanbul ısı"),
        ("lead.fields.arabic | upper", "مُحَمَّد علي"),
        ("lead.fields.arabic | lower", "مُحَمَّد علي"),
        ("lead.name | trim | title", "Ali İhsan O'neil"),
        ('"ilk IŞIK al-rashid" | title("tr")', "İlk Işık Al-Rashid"),
        ("lead.phone | upper", ""),
        ("12.0 | upper", "12"),
        ('"abcdef" | truncate(4)', "abc…"),
        ('"abcdef" | truncate(6)', "abcdef"),
        ('"abcdef" | truncate(5, "..")', "abc.."),
        ('"abcdef" | truncate(3, end="")', "abc"),
        ('lead.fields.arabic | truncate(3, "")', "مُ"),
        ("lead.tags | join", "vip, 3, , true"),
        ('lead.tags | join(" و ")', "vip و 3 و  و true"),
        ("lead.fields.list | join", ""),
        ("lead.phone | join", ""),
        ("lead.tags | first", "vip"),
        ("lead.tags | last", "true"),
        ("lead.fields.list | first", ""),
        ("lead.phone | last", ""),
        ('"أحمد" | first', "أ"),
        ("lead.tags | length", "4"),
        ("lead.fields.object | length", "2"),
        ("lead.phone | length", "0"),
        ('"أحمد" | length', "4"),
        ("lead.fields.object | json", '{"ب": 1.5, "a": [null, true]}'),
        ("lead.phone | json", "null"),
        ('"a\\"b" | json', '"a\\"b"'),
        ('"أ ب/?&=" | urlencode', "%D8%A3%20%D8%A8%2F%3F%26%3D"),
        ("12 | urlencode", "12"),
    ],
)
def test_filter(expression: str, text: str) -> None:
    source = "{{ " + expression + " }}"
    assert check_template(source) == []
    assert render_template(source, SCOPE) == text


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("lead.tags | upper", "takes a single value"),
        ("lead.fields.object | trim", "takes a single value"),
        ("lead.name | join", "takes a list"),
        ("lead.fields.nested | join", "takes a single value"),
        ("lead.fields.zero | first", "takes a list or a text"),
        ("lead.fields.zero | length", "takes a list, an object or a text"),
        ("lead.fields.nan | json", "takes plain JSON"),
        ("lead.fields.half | urlencode", "lone surrogate"),
        ("lead.name | truncate(0)", "with room for the ending"),
        ('lead.name | truncate("5")', "the length is a whole number"),
        ("lead.name | truncate(true)", "the length is a whole number"),
        ("lead.tags | first | join", "takes a list"),
    ],
)
def test_filter_refuses(expression: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words) as caught:
        render_template("{{ " + expression + " }}", SCOPE)
    assert caught.value.code == "filter"


def test_json_of_very_deep_values_is_refused() -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ExpressionError, match="nested too deeply"):
        render_template("{{ run.input.x | json }}", {"run": {"input": {"x": deep}}})
