"""What must hold of any template and any condition, over any value. Raises what does not hold.

An input is a text; after U+001E follows, if anything, the value of the scope's members, as JSON or
else as text.
"""

import html
import json
import os
import re
from typing import Any, Final

from mirsal_expressions import (
    ExpressionError,
    ExpressionFault,
    check_condition,
    check_template,
    check_value,
    compile_template,
    evaluate_condition,
    referenced_nodes,
    render_template,
    render_value,
)

OUTPUT_LIMIT: Final = 256 * 1024
# Nobody writes these by chance: where one comes out, something else than a member was read.
INSIDE: Final = "c4n4ry-0f-the-inside-9d1e7f"
VALUE: Final = "c4n4ry-0f-a-value-5b20aa"
MARKUP: Final = "<c4n4ry-markup-81c3>"
os.environ["MIRSAL_FUZZ_CANARY"] = INSIDE

_REPRESENTATION: Final = re.compile(
    r"<(?:class|function|module|built-in|bound method|slot wrapper|property|mappingproxy)\b"
    r"|\bobject at 0x[0-9a-f]"
    r"|__(?:class|dict|globals|builtins|init|subclasses|mro|import|module|name)__"
)
_NO_LETTERS: Final = re.compile(r"[^a-z]+")


class Canary:
    """An object whose attributes, methods and texts nobody may reach."""

    secret = INSIDE

    def __str__(self) -> str:
        return INSIDE

    __repr__ = __str__

    def __call__(self, *_: object) -> str:
        return INSIDE

    def __format__(self, spec: str) -> str:
        return INSIDE

    def __html__(self) -> str:
        return INSIDE

    def __getitem__(self, name: object) -> str:
        return INSIDE


_BIG: Final = "ab " * 20_000
_MANY: Final = ["", None, 1.5, {"a": "b"}] * 500


def try_template(data: bytes) -> None:
    """Renders it as text and as HTML, as a part of a JSON value and as a lead's own words."""
    written, source, value = read_input(data)
    scope = scope_of(value)
    faults = check_template(source, node_ids=None)
    _check_faults(faults, source)
    if not faults:
        compile_template(source)
    referenced_nodes(source)
    for as_html in (False, True):
        try:
            text = render_template(source, scope, html=as_html)
        except ExpressionError as error:
            _check_silence(error)
        else:
            _check_text(text, source, written, as_html=as_html)
    _check_json(value, scope)
    _check_own_words(written)


def try_condition(data: bytes) -> None:
    """Checks and evaluates it."""
    _, source, value = read_input(data)
    faults = check_condition(source, node_ids=None)
    _check_faults(faults, source)
    referenced_nodes(source)
    try:
        result = evaluate_condition(source, scope_of(value))
    except ExpressionError as error:
        _check_silence(error)
    else:
        assert type(result) is bool, type(result)


def read_input(data: bytes) -> tuple[str, str, Any]:
    """All of the input as text, the expression, and the value of the scope's members."""
    try:
        written = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        written = data.decode("latin-1")
    source, mark, rest = written.partition("\x1e")
    if not mark:
        return written, source, written
    try:
        return written, source, json.loads(rest)
    except (ValueError, RecursionError):
        return written, source, rest


def scope_of(value: object) -> dict[str, Any]:
    """A scope with the value in many places, what is large, and what must not come out."""
    fields = {"a": value, "b": value, "big": _BIG, "many": _MANY, "canary": Canary()}
    fields |= {"n": 12.5, "t": "2025-03-05T22:15:00Z", "markup": MARKUP, "v": VALUE}
    lead = {"id": "l1", "name": value, "tags": [value, "vip"], "phone": VALUE, "fields": fields}
    return {
        "lead": lead,
        "run": {"id": "r1", "input": value},
        "nodes": {"send": {"output": value}},
    }


def _check_faults(faults: list[ExpressionFault], source: str) -> None:
    for fault in faults:
        assert fault.code, fault
        assert fault.message, fault
        assert 1 <= (fault.line or 1) <= source.count("\n") + 1, fault
        assert VALUE not in fault.message, fault
        assert INSIDE not in fault.message, fault


def _check_silence(error: ExpressionError) -> None:
    """A message names members, never what they hold."""
    assert VALUE not in str(error), error
    assert INSIDE not in str(error), error


def _check_text(text: str, source: str, written: str, *, as_html: bool) -> None:
    if not any(mark in source for mark in ("{{", "{%", "{#")):
        assert text == source, "a text without tags has changed"
        return
    assert len(text.encode()) <= OUTPUT_LIMIT, len(text)
    assert INSIDE not in text, "the inside came out"
    if as_html:
        assert MARKUP not in text, "a value became markup"
        text = html.unescape(text)
    for found in _REPRESENTATION.finditer(text):
        assert is_written(found.group(), written), found.group()


def is_written(found: str, written: str) -> bool:
    """Whether the author's own letters may have made it, in any case and with tags between."""
    letters = iter(_NO_LETTERS.sub("", written.lower()))
    return all(letter in letters for letter in _NO_LETTERS.sub("", found.lower()))


def _check_json(value: Any, scope: dict[str, Any]) -> None:
    check_value(value, node_ids=None)
    try:
        render_value(value, scope, html_paths=["/html"], verbatim_paths=["/code"])
    except ExpressionError as error:
        _check_silence(error)


def _check_own_words(written: str) -> None:
    """What a lead wrote comes out as it is, whatever it looks like."""
    words = written.encode("utf-8", "replace").decode()
    scope = {"lead": {"name": words}}
    assert render_template("{{ lead.name }}", scope) == words
    escaped = render_template("{{ lead.name }}", scope, html=True)
    assert escaped == html.escape(words)
