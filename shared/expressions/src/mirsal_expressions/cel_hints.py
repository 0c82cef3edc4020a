"""What to tell the author of a condition that is not allowed: usual slips and remedies."""

from collections.abc import Sequence
from typing import Final

from mirsal_expressions.cel_tokens import Token
from mirsal_expressions.faults import RefusedError
from mirsal_expressions.members import Member, describe_unknown_root, shorten, write_path

_WORDS: Final = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_CASED: Final = {"True": "true", "False": "false", "None": "null", "NULL": "null"}
_CALLS: Final = {
    "map": "use exists, all or filter: map could grow without bound",
    "now": "a condition knows no clock: have the run started with the time in run.input",
    "default": 'filters belong to templates: write has(lead.fields.city) ? lead.fields.city : ""',
    "toLowerCase": "write lower(...)",
    "toUpperCase": "write upper(...)",
    "len": "write size(...)",
    "length": "write size(...)",
}


def explain_name(token: Token) -> RefusedError:
    name = token.text
    if name in _WORDS:
        return RefusedError("syntax", f"write {_WORDS[name]} instead of {name}", token.offset)
    if name in _CASED:
        return RefusedError("syntax", f"write {_CASED[name]}", token.offset)
    hint = f'{describe_unknown_root(name)}; a text is written in quotes, "{shorten(name)}"'
    return RefusedError("unknown_name", hint, token.offset)


def explain_call(token: Token, *, is_method: bool) -> RefusedError:
    name = token.text
    kind = "method" if is_method else "function"
    if name in ("contains", "startsWith", "endsWith", "matches"):
        hint = f'it follows a value: lead.name.{name}("...")'
    elif name in ("all", "exists", "exists_one", "existsOne", "filter"):
        hint = f'it follows a list: lead.tags.{name}(t, t == "vip")'
    else:
        known = "size, lower, upper, trim, int, double, string, timestamp, duration, type, has"
        methods = "contains, startsWith, endsWith, matches, exists, all, exists_one, filter, size"
        hint = _CALLS.get(name, f"there are {methods if is_method else known}")
    message = f"there is no {kind} {shorten(name)} here: {hint}"
    return RefusedError("unknown_function", message, token.offset)


def explain_node(members: Sequence[Member], tokens: Sequence[Token], position: int) -> None:
    """Raises for `nodes.send-mail`, where a hyphen right between two names is meant as one name."""
    hyphen, after = tokens[position], tokens[min(position + 1, len(tokens) - 1)]
    last = tokens[position - 1]
    adjacent = (
        last.kind == "name"
        and hyphen.text == "-"
        and hyphen.offset == last.offset + len(last.text)
        and after.offset == hyphen.offset + 1
    )
    if adjacent and len(members) == 2:
        name = f"{members[-1]}-{after.text}"
        written = write_path(("nodes", name))
        message = f"an id with a hyphen stands in brackets and quotes: write {written}"
        raise RefusedError("hyphen", message, last.offset)
