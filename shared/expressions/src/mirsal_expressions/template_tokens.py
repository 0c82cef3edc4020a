"""Splits the inside of a `{{ }}` or `{% %}` into tokens, one at a time. Knows no grammar."""

import re
from typing import Final, NamedTuple

from mirsal_expressions.faults import RefusedError
from mirsal_expressions.literals import CURLY_QUOTES, decode_literal

# Marks of text direction, which editors put into Arabic text unseen, count as spaces. Names may
# hold the vowel signs of Arabic and the joiner of Persian, which are no letters for `\w`.
SPACE: Final = r"[\s\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+"
NAME: Final = r"[^\W\d][\w\u0300-\u036f\u064b-\u065f\u0670\u200c]*+"

_TOKEN = re.compile(
    rf"""(?:{SPACE})?(?:
      (?P<end>-?\}}\}}|-?%\}})
    | (?P<name>{NAME})
    | (?P<string>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<symbol>==|!=|<=|>=|&&|\|\||[-+*/%~<>=!.,:|()\[\]{{}}&^?@])
    )""",
    re.VERBOSE | re.DOTALL,
)
_DIGITS_AT_MOST: Final = 15


class Token(NamedTuple):
    kind: str
    text: str
    offset: int


class Tokens:
    """The tokens of one tag, with one token of look-ahead."""

    def __init__(self, source: str, after: int) -> None:
        self.source = source
        self.after = after
        self.current = self._read()

    def advance(self) -> Token:
        """Gives the current token and moves to the next."""
        token = self.current
        if token.kind != "end":
            self.current = self._read()
        return token

    def accept(self, text: str) -> bool:
        """Moves on if the current token is this symbol or word."""
        if self.current.text != text or self.current.kind not in ("symbol", "name"):
            return False
        self.advance()
        return True

    def _read(self) -> Token:
        match = _TOKEN.match(self.source, self.after)
        if match is None or match.lastgroup is None:
            raise self._explain_unreadable()
        self.after = match.end()
        kind = match.lastgroup
        return Token(kind, match.group(kind), match.start(kind))

    def _explain_unreadable(self) -> RefusedError:
        space = re.compile(SPACE).match(self.source, self.after)
        offset = space.end() if space else self.after
        rest = self.source[offset : offset + 1]
        if not rest:
            return RefusedError("unclosed", "the tag is never closed", offset)
        if rest in "\"'":
            return RefusedError("unclosed", f"the text is never closed: add {rest}", offset)
        if rest in CURLY_QUOTES:
            message = f'text is written in straight quotes, "so": {rest} is a typographic quote'
            return RefusedError("syntax", message, offset)
        return RefusedError("syntax", f"the character {rest} has no meaning here", offset)


def read_string(token: Token) -> str:
    """The text that a string token means."""
    return decode_literal(token.text[1:-1], token.offset + 1)


def read_number(token: Token) -> int | float:
    """The number that a number token means; digits of any script."""
    if len(token.text) > _DIGITS_AT_MOST:
        message = f"the number has more than {_DIGITS_AT_MOST} digits: write it as text"
        raise RefusedError("syntax", message, token.offset)
    return float(token.text) if "." in token.text else int(token.text)
