"""Splits a condition into tokens. Stricter than CEL: what is read here is written anew for the
library, so that the two can never disagree on where a text ends."""

import json
import re
from typing import Final, NamedTuple

from mirsal_expressions.faults import RefusedError
from mirsal_expressions.literals import CURLY_QUOTES, decode_literal
from mirsal_expressions.template_tokens import NAME, SPACE

_TOKEN = re.compile(
    rf"""(?:{SPACE}|//[^\n]*)*+(?:
      (?P<end>\Z)
    | (?P<raw>[rR](?:"[^"\n]*"|'[^'\n]*'))
    | (?P<string>"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')
    | (?P<number>(?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![\w.]))
    | (?P<name>{NAME})
    | (?P<symbol>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{{}}])
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER_LENGTH: Final = 19
_LARGEST: Final = 2**63 - 1
_HINTS: Final = {
    "=": "to compare, write ==",
    "&": "write &&",
    "|": "write ||; filters belong to templates",
    '"': 'the text is never closed: add "',
    "'": "the text is never closed: add '",
}


class Token(NamedTuple):
    """kind: name, string, number, symbol or end. `value` is what a string means.

    The text of a string is in quotes, written so that CEL reads the same value.
    """

    kind: str
    text: str
    offset: int
    value: str = ""


def tokenize(source: str) -> list[Token]:
    """The tokens with one `end` at the end. Raises RefusedError."""
    tokens = []
    position = 0
    while True:
        match = _TOKEN.match(source, position)
        if match is None or match.lastgroup is None:
            raise _explain(source, position)
        kind = match.lastgroup
        token = _read(kind, match.group(kind), match.start(kind))
        tokens.append(token)
        if kind == "end":
            return tokens
        position = match.end()


def _read(kind: str, text: str, offset: int) -> Token:
    if kind == "raw":
        return _string(text[2:-1], offset)
    if kind == "string":
        return _string(decode_literal(text[1:-1], offset + 1), offset)
    if kind == "number":
        whole = text.isdecimal() or text.startswith("0x")
        if len(text) > _NUMBER_LENGTH or (whole and int(text, 0 if "x" in text else 10) > _LARGEST):
            raise RefusedError("syntax", "the number has too many digits", offset)
    return Token(kind, text, offset)


def _string(value: str, offset: int) -> Token:
    return Token("string", json.dumps(value, ensure_ascii=False), offset, value)


def _explain(source: str, position: int) -> RefusedError:
    skipped = re.compile(rf"(?:{SPACE}|//[^\n]*)*+").match(source, position)
    offset = skipped.end() if skipped else position
    character = source[offset : offset + 1]
    if character in CURLY_QUOTES:
        message = f'text is written in straight quotes, "so": {character} is a typographic quote'
    elif character.isdigit():
        message = "this is no number that can be read: write it as 20 or 20.5"
    else:
        message = _HINTS.get(character, f"the character {character} has no meaning here")
    return RefusedError("syntax", message, offset)
