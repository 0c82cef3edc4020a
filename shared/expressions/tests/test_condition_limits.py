"""Nothing that an author or a lead can write makes a condition run long.

The library runs outside Python and cannot be interrupted, not even by the time-out of the suite:
each hostile case runs in a process of its own, which is ended when it takes too long.
"""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mirsal_expressions import ExpressionError, check_condition, evaluate_condition
from mirsal_expressions.cel_patterns import check_pattern, measure_pattern

SECONDS = 60
RUN = """
import json, sys
from mirsal_expressions import ExpressionError, evaluate_condition
for source, value in json.load(sys.stdin):
    try:
        outcome = evaluate_condition(source, {"run": {"input": value}})
    except ExpressionError as error:
        outcome = error.code
    print(outcome, flush=True)
"""


def evaluate_apart(cases: list[tuple[str, object]]) -> list[str]:
    """The outcomes; fails if the process dies, or is not through after SECONDS."""
    try:
        process = subprocess.run(
            [sys.executable, "-c", RUN],
            input=json.dumps(cases),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        reached = (error.stdout or b"").count(b"\n")
        pytest.fail(f"took too long: {cases[reached][0]}")
    return process.stdout.split()


GROWING = [1, 25, 125, 625, 3000, 15_000, 75_000, 400_000]
VALUES = [{"l": list(range(size)), "m": [-1] * size, "s": "ş" * size} for size in GROWING]
COSTLY = [
    "run.input.l.exists(a, a == -1)",
    "run.input.l.exists(a, run.input.l.exists(b, a + b == -1))",
    "run.input.l.exists(a, run.input.l.exists(b, run.input.l.exists(c, c == -1)))",
    "size(run.input.l.filter(a, true)) == -1",
    "run.input.l.exists(a, size(run.input.l.filter(b, true)) == -1)",
    "run.input.m.exists(a, a in run.input.l)",
    "run.input.l.exists(a, run.input == {'l': 1})",
    "run.input.l.exists(a, size(run.input) == 7 || upper(run.input.s) == '')",
    " && ".join(["size(run.input.l) > 0"] * 75),
    " && ".join(["run.input.l == run.input.l"] * 60),
    "+".join(["run.input.s"] * 150) + " == ''",
    "+".join(["run.input.l"] * 150) + " == []",
    "[[1,2,3,4,5,6,7,8,9]].all(z, z.all(y, z.all(x, size(run.input.s) > 0)))",
    r'run.input.s.matches("' + r"\\w" * 60 + '$")',
    r'run.input.s.matches("(a|ş|şş|\\w){1,20}$")',
    r'run.input.s.matches("(?i)(\\pL|\\w|[^a])*[xyz](.|\\s){40}$")',
]


@pytest.fixture(scope="module")
def costly_outcomes() -> list[str]:
    return evaluate_apart([(source, value) for value in VALUES for source in COSTLY])


@pytest.mark.parametrize("index", range(len(COSTLY)))
def test_growing_values_are_answered_or_refused(costly_outcomes: list[str], index: int) -> None:
    assert check_condition(COSTLY[index]) == []
    outcomes = costly_outcomes[index :: len(COSTLY)]
    assert len(outcomes) == len(VALUES)
    assert outcomes[0] in ("True", "False")
    assert outcomes[-1] == "too_much_work"
    assert set(outcomes) <= {"True", "False", "too_much_work"}


def nested(depth: int) -> str:
    return "run.input" + ".exists(x, x" * depth + " == 1" + ")" * depth


HOSTILE: list[tuple[str, str | None]] = [
    ("true" + " " * 2000, "too_large"),
    ("true || " * 300 + "true", "too_large"),
    ("(" * 33 + "true" + ")" * 33, "too_deep"),
    ("[" * 500 + "]" * 500, "too_deep"),
    ("!" * 1900 + "true", None),
    ("-" * 1900 + "1 == 1", None),
    ("true?true:" * 199 + "true", "too_deep"),
    ("1+" * 900 + "1 == 1", None),
    ("1<" * 900 + "1", None),
    ("lead.fields" + ".a" * 40 + " == 1", "too_deep"),
    (nested(4), "too_deep"),
    (nested(100), "too_deep"),
    ("[1].map(x, [x,x])" + ".map(x, [x,x])" * 100 + " == 1", "unknown_function"),
    ('lead.name.matches("' + "a" * 201 + '")', "pattern"),
    ('lead.name.matches("(a{30}){30}")', "pattern"),
    ('lead.name.matches("((a{9}){9}){9}")', "pattern"),
    ('lead.name.matches("a{1000}")', "pattern"),
    ('lead.name.matches("a{0,1000}")', "pattern"),
    ('lead.name.matches("(?x) # [\\n (a{30}){30} #]")', "pattern"),
    (('lead.name.matches("' + "a" * 190 + '") || ') * 3 + "true", "pattern"),
    ("(" * 2000, "too_deep"),
    ("a{" * 1000, "syntax"),
    ("a<" * 1000, "unknown_name"),
    ("?" * 2000, "syntax"),
    ("//" * 1000, "syntax"),
    ('"' * 1999, "syntax"),
    ("\\" * 2000, "syntax"),
    ("[1, " + "1, " * 600 + "1] == []", None),
]


@pytest.fixture(scope="module")
def hostile_outcomes() -> list[str]:
    return evaluate_apart([(source, {}) for source, _ in HOSTILE])


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_hostile_source_is_settled_before_it_runs(hostile_outcomes: list[str], index: int) -> None:
    assert len(hostile_outcomes) == len(HOSTILE)
    source, code = HOSTILE[index]
    assert [fault.code for fault in check_condition(source)] == ([code] if code else [])


def test_what_would_cost_too_much_is_refused_beforehand() -> None:
    scope = {"run": {"input": {"items": list(range(2000)), "name": "x"}}}
    with pytest.raises(ExpressionError, match="read a smaller member") as caught:
        evaluate_condition("run.input.items.exists(i, i == -1)", scope)
    assert caught.value.code == "too_much_work"
    assert evaluate_condition("run.input.items.size() == 2000", scope)
    assert evaluate_condition("run.input.name == 'x'", scope)


def test_deep_values_are_refused() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ExpressionError, match="nested more than 64 deep"):
        evaluate_condition("run.input.x == 1", {"run": {"input": {"x": deep}}})


@pytest.mark.parametrize(
    ("pattern", "steps"),
    [
        ("", 0),
        ("abc", 3),
        ("a{5}", 5),
        ("a{2,5}b", 6),
        ("a{3,}", 3),
        ("(ab){4}c", 9),
        ("((a{3}b){2}c){2}", 18),
        ("[a-z{9}]{4}", 4),
        ("[]a{9}]{2}", 2),
        ("[[:alpha:]{9}]{2}", 2),
        (r"\w{3}\{9\}", 18),
        (r"\pL\p{Arabic}\x{41}{2}", 12),
        ("(?:ab){3}(?i:c){2}", 8),
        ("a{0}", 1),
        (")a{2}", 3),
        ("(((", 0),
    ],
)
def test_the_steps_of_a_pattern(pattern: str, steps: int) -> None:
    assert measure_pattern(pattern) == steps


def test_usual_patterns_are_small_enough() -> None:
    for pattern in (
        r"^\+?[0-9]{8,15}$",
        r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{4}[0-9]{7}([A-Z0-9]?){0,16}$",
        r"^[\w.+-]+@[\w-]+\.[\w.-]+$",
        "^(مرحبا|أهلا).*شكرا$",
    ):
        assert check_pattern(pattern) is None


TOKENS = st.sampled_from(
    [
        *("lead", "run", "nodes", ".", ".name", ".fields", ".tags", ".x", "[", "]", "(", ")", "{"),
        *("}", "0", "1.5", "1e9", '"x"', "'ب'", 'r"\\d"', "true", "null", "in", "&&", "||", "!"),
        *("==", "<", "+", "-", "*", "/", "%", "?", ":", ",", "=", "|", " ", "\n", "//", "\\"),
        *("has(", "size(", "lower(", ".size()", ".exists(t, ", ".filter(t, ", ".matches(", "t"),
        *(
            "lead.name",
            "lead.fields.x",
            'nodes["a-b"].output',
            "type(",
            "timestamp(",
            "م",
            "\ud800",
        ),
    ]
)


@settings(deadline=None, max_examples=800)
@given(
    source=st.one_of(st.lists(TOKENS, max_size=25).map("".join), st.text(max_size=60)),
    value=st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
)
def test_any_text_is_answered_or_refused(source: str, value: object) -> None:
    scope = {
        "lead": {"name": value, "tags": [value], "fields": {"x": value}},
        "run": {"id": "r", "input": value},
        "nodes": {"a-b": {"output": value}},
    }
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(str(evaluate_condition(source, scope)))
        except ExpressionError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    check_condition(source)


@settings(deadline=None, max_examples=300)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    quote=st.sampled_from("'\""),
)
def test_any_text_can_be_written_as_a_literal(text: str, quote: str) -> None:
    written = text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n")
    source = f"run.input == {quote}{written}{quote}"
    assert evaluate_condition(source, {"run": {"input": text}}) is True
    assert evaluate_condition(source, {"run": {"input": text + "x"}}) is False
