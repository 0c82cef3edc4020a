"""What bounds a template: its size, its nesting, its output, and the work of its filters."""

import pytest
from mirsal_expressions import ExpressionError, check_template, render_template

BIG = "ب" * (100 * 1024)
SCOPE = {
    "lead": {"name": "x", "fields": {"big": BIG, "huge": "ab " * 170_000}},
    "run": {"input": {"list": [""] * 170_000, "deep": {}}},
}


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ lead.name }}" + "a" * (256 * 1024), "too_large"),
        ("{{ lead.name }}" * 2001, "too_large"),
        ("{% if true %}" * 9 + "{% endif %}" * 9, "too_deep"),
        ("{{ " + "(" * 17 + "lead.name" + ")" * 17 + " }}", "too_deep"),
        ("{% if " + "(" * 20_000 + "true" + ")" * 20_000 + " %}{% endif %}", "too_deep"),
        ("{% if " + "not " * 20_000 + "true %}{% endif %}", "too_deep"),
        ("{% if true" + " and true" * 101 + " %}{% endif %}", "too_deep"),
        ("{{ lead.name" + " | trim" * 17 + " }}", "too_deep"),
        ("{{ lead.fields" + ".a" * 40 + " }}", "too_deep"),
        ("{{ lead.fields" + "[0]" * 20_000 + " }}", "too_deep"),
        ("{{ " + "9" * 5000 + " }}", "syntax"),
        ("{{ lead.fields[" + "9" * 5000 + "] }}", "syntax"),
    ],
)
def test_refused_before_it_runs(source: str, code: str) -> None:
    assert check_template(source)[0].code == code
    with pytest.raises(ExpressionError):
        render_template(source, SCOPE)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ lead.fields.big }}" * 2, "output_too_large"),
        ("{{ lead.fields.big }}" * 2000, "output_too_large"),
        ("{{ lead.fields.big }}{{ lead.fields.big | urlencode }}", "output_too_large"),
        ("{{ lead.fields.huge }}", "output_too_large"),
        ("{{ lead.fields.huge | title | first }}" * 1000, "too_much_work"),
        ("{{ lead.fields.big | upper | lower | truncate(1) }}" * 1000, "too_much_work"),
        ("{{ run.input.list | join('') }}" * 1000, "too_much_work"),
        ("{% if run.input | json %}{% endif %}" * 1000, "too_much_work"),
        ("{% if 'x' in lead.fields.big %}{% endif %}" * 1000, "too_much_work"),
        ("{% if 'x' in run.input.list %}{% endif %}" * 1000, "too_much_work"),
    ],
)
def test_refused_while_it_runs(source: str, code: str) -> None:
    assert check_template(source) == []
    with pytest.raises(ExpressionError) as caught:
        render_template(source, SCOPE)
    assert caught.value.code == code


def test_the_limit_of_the_output_counts_bytes() -> None:
    arabic = "{{ lead.fields.big }}"
    assert len(render_template(arabic, SCOPE)) == len(BIG)
    assert render_template(arabic, SCOPE, limit=2 * len(BIG)) == BIG
    with pytest.raises(ExpressionError, match=r"too large|larger than"):
        render_template(arabic, SCOPE, limit=2 * len(BIG) - 1)
    with pytest.raises(ExpressionError, match=r"too large|larger than"):
        render_template("{{ '<' }}" * 3, SCOPE, html=True, limit=11)


def test_escaping_counts_for_the_limit() -> None:
    scope = {"lead": {"name": "<" * 200_000}}
    assert len(render_template("{{ lead.name }}", scope)) == 200_000
    with pytest.raises(ExpressionError, match="too large"):
        render_template("{{ lead.name }}", scope, html=True)


def test_a_plain_text_has_no_limit_of_its_own() -> None:
    plain = "{ نص }" * 100_000
    assert check_template(plain) == []
    assert render_template(plain, {}) is plain


def test_at_most_twenty_faults_are_said() -> None:
    assert len(check_template("{{ 1 + 1 }}" * 500)) == 20


@pytest.mark.parametrize(
    "source",
    [
        "{{" * 100_000,
        "{% " * 80_000,
        "{#" * 100_000,
        "{{ lead.name " * 20_000,
        "{{ '" * 60_000 + "}}",
        "{{ lead" + "." * 200_000 + " }}",
        "{{ lead.name | " * 15_000 + "}}",
        "{{ '" + "\\" * 200_000 + "' }}",
        "{{ " + " " * 200_000 + "}}",
        "{{ " + "a" * 200_000 + " }}",
        "{{ lead.fields.a-" + "b-" * 100_000 + " }}",
        "{% if " + "lead.name == " * 15_000 + "1 %}{% endif %}",
        "{%- if true -%}" + " " * 200_000 + "{%- endif -%}",
        "{% if true %}" * 15_000,
        "{% endif %}" * 15_000,
    ],
)
def test_a_hostile_source_is_settled_at_once(source: str) -> None:
    """A quadratic scan of these would run into the time-out of the suite."""
    for _ in range(20):
        check_template(source)
