"""What to tell an author whose template does not parse: the usual slips and their remedies."""

import re

from mirsal_expressions.faults import RefusedError
from mirsal_expressions.filters import FILTERS, Filter
from mirsal_expressions.members import Path, shorten, write_path
from mirsal_expressions.template_tokens import Token

_ARITHMETIC = frozenset("+-*/%~")
_TESTS = frozenset(["==", "!=", "<", "<=", ">", ">=", "and", "or", "not", "in", "is", "if", "else"])
_WORDS = {"&&": "and", "&": "and", "||": "or", "!": "not"}
_ESCAPING = frozenset(["safe", "raw", "escape", "e", "forceescape"])
_HYPHENATED = re.compile(r"[\w-]+")
_TAGS = {
    "for": 'there are no loops: a list is written with | join(", "), more is work for a code node',
    "set": "there are no variables: write the expression where it is needed",
    "raw": 'there is no raw: write braces as {{ "{{" }}',
    "include": "a template cannot read another",
    "import": "a template cannot read another",
    "from": "a template cannot read another",
    "extends": "a template cannot read another",
    "macro": "there are no macros",
}

CALL = "nothing can be called: use a filter, for example lead.name | upper"


def explain_unexpected(token: Token) -> RefusedError:
    """Says what to write instead of a token that no rule takes."""
    code, message = "syntax", f"{shorten(token.text)} is not expected here"
    if token.kind == "end":
        message = f"{token.text} comes too early: something is missing before it"
    elif token.text == "(":
        code, message = "forbidden_call", CALL
    elif token.text in _WORDS:
        code, message = "forbidden_operator", f"write {_WORDS[token.text]} in an if"
    elif token.text in _ARITHMETIC:
        code = "forbidden_operator"
        message = "there is no arithmetic: write expressions side by side, {{ a }} {{ b }}"
    elif token.text in _TESTS and token.kind != "string":
        code = "forbidden_operator"
        message = "tests stand in {% if ... %} and {% endif %} only"
    elif token.text == "=":
        message = "to compare, write =="
    elif token.text in ("{", "}"):
        message = "braces do not stand in braces: is an earlier {{ closed with }}?"
    return RefusedError(code, message, token.offset)


def explain_tag(word: Token) -> RefusedError:
    hint = _TAGS.get(word.text, "the only tags are if, elif, else and endif")
    return RefusedError("forbidden_tag", hint, word.offset)


def explain_filter(name: Token) -> RefusedError:
    known = ", ".join(sorted(FILTERS))
    shown = shorten(name.text)
    if name.text in _ESCAPING:
        message = f"there is no filter {shown}: values in HTML are always escaped, once"
    elif name.kind == "name":
        message = f"there is no filter {shown}: the filters are {known}"
    else:
        message = f"the name of a filter follows the |: {known}"
    return RefusedError("unknown_filter", message, name.offset)


def explain_arguments(known: Filter, offset: int) -> RefusedError:
    names = ", ".join(known.parameters)
    takes = f"takes {names}, each once" if names else "takes no arguments"
    return RefusedError("filter", f"{known.name} {takes}", offset)


def explain_hyphen(source: str, owner: Path, last: Token) -> RefusedError | None:
    """`nodes.send-mail`: a hyphen right between two names is meant as one name."""
    match = _HYPHENATED.match(source, last.offset)
    name = match.group().rstrip("-") if match else ""
    if last.kind != "name" or "-" not in name:
        return None
    written = write_path((*owner, name)) if owner else shorten(name)
    message = f"a name with a hyphen stands in brackets and quotes: write {written}"
    return RefusedError("hyphen", message, last.offset)
