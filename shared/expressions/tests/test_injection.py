"""Nothing that an author or a lead writes is evaluated: the corpus of payloads, in both places."""

import html
from pathlib import Path

import pytest
from mirsal_expressions import (
    ExpressionError,
    check_template,
    evaluate_condition,
    render_template,
    render_value,
)

CORPUS = Path(__file__).parent / "data" / "ssti_payloads.txt"
PAYLOADS = [
    line for line in CORPUS.read_text(encoding="utf-8").splitlines() if not line.startswith("## ")
]


class Canary:
    """An object with attributes and methods; a template must reach none of them."""

    secret = "leaked"

    def __str__(self) -> str:
        raise AssertionError("called")

    __repr__ = __format__ = __call__ = __html__ = __getitem__ = __str__  # type: ignore[assignment]


def scope(name: object = "أحمد") -> dict[str, object]:
    fields = {"city": "دبي", "price": 12.5, "when": "2025-03-05T22:15:00Z", "canary": Canary()}
    return {
        "lead": {"id": "l1", "name": name, "tags": ["vip"], "fields": fields},
        "run": {"id": "r1", "input": {}},
        "nodes": {"send": {"output": {}}},
    }


def test_corpus_is_large_and_without_repeats() -> None:
    assert len(PAYLOADS) >= 200
    assert len(set(PAYLOADS)) == len(PAYLOADS)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("as_html", [False, True])
def test_payload_as_source_stays_text_or_is_refused(payload: str, as_html: bool) -> None:
    if not check_template(payload):
        try:
            assert render_template(payload, scope(), html=as_html) == payload
        except ExpressionError:
            return
    else:
        with pytest.raises(ExpressionError):
            render_template(payload, scope(), html=as_html)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload_as_value_stays_what_it_is(payload: str) -> None:
    source = "a {{ lead.name }} b {{ lead.fields.none | default(lead.name) }}"
    assert render_template(source, scope(payload)) == f"a {payload} b {payload}"
    escaped = html.escape(payload)
    assert render_template(source, scope(payload), html=True) == f"a {escaped} b {escaped}"
    assert render_value({payload: ["{{ lead.name }}"]}, scope(payload)) == {payload: [payload]}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload_as_condition_is_refused(payload: str) -> None:
    with pytest.raises(ExpressionError, match=r"^(?!.*leaked)"):
        evaluate_condition(payload, scope())


@pytest.mark.parametrize(
    "path",
    ["secret", "__class__", "__dict__", "__str__", "__init__.__globals__", '["secret"]', "[0]"],
)
def test_attributes_of_objects_are_out_of_reach(path: str) -> None:
    reach = path if path.startswith("[") else f".{path}"
    with pytest.raises(ExpressionError, match="does not exist"):
        render_template(f"{{{{ lead.fields.canary{reach} }}}}", scope())


def test_an_object_is_never_written() -> None:
    for source in ("{{ lead.fields.canary }}", "{{ lead.fields | json }}"):
        with pytest.raises(ExpressionError):
            render_template(source, scope())
