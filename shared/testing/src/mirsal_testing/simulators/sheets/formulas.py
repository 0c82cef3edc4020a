"""Formulas, as far as a test needs them: arithmetic, cells of the same tab, a few functions.

What is beyond that gives `#NAME?` as an unknown function does; it never fails a call.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

from mirsal_testing.simulators.sheets.a1 import parse_area
from mirsal_testing.simulators.sheets.entry import tidy
from mirsal_testing.simulators.sheets.grid import Formula

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirsal_testing.simulators.sheets.grid import Tab

Plain = str | int | float | bool

MAX_DEPTH = 40
_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"]|"")*")|(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)'
    r"|(?P<name>\$?[A-Za-z_][A-Za-z0-9_.$]*(?::\$?[A-Za-z]*\$?\d*)?)|(?P<sign><>|<=|>=|[-+*/^&=<>(),;%]))"
)
_LEVELS: tuple[tuple[str, ...], ...] = (("=", "<>", "<", ">", "<=", ">="), ("&",), ("+", "-"),
                                        ("*", "/"), ("^",))  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], object]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, ">": operator.gt,
    "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_COUNT: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "^": operator.pow,
}  # fmt: skip


class CellError(Exception):
    """The text is what the cell shows: `#ERROR!`, `#NAME?`, `#VALUE!`, `#DIV/0!` ..."""


def compute(formula: Formula, tab: Tab, depth: int = 0) -> Plain:
    """The value that the cell shows; an error as its text."""
    try:
        return _Reader(formula.text[1:], tab, depth).read_all()
    except CellError as error:
        return str(error)
    except ZeroDivisionError:
        return "#DIV/0!"
    except (OverflowError, RecursionError):
        return "#NUM!"
    except TypeError:
        return "#VALUE!"


def _value_at(tab: Tab, row: int, column: int, depth: int) -> Plain:
    if depth >= MAX_DEPTH:
        raise CellError("#REF!")
    value = tab.get(row, column)
    if isinstance(value, Formula):
        return compute(value, tab, depth + 1)
    return "" if value is None else value


class _Reader:
    """Reads and computes at once, from left to right."""

    def __init__(self, text: str, tab: Tab, depth: int) -> None:
        self._tab = tab
        self._depth = depth
        self._tokens: list[tuple[str, str]] = []
        self._place = 0
        end = 0
        while text[end:].strip():
            match = _TOKEN.match(text, end)
            if match is None:
                raise CellError("#ERROR!")
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            end = match.end()

    def read_all(self) -> Plain:
        values = self._read(0)
        if self._place < len(self._tokens):
            raise CellError("#ERROR!")
        return _single(values)

    def _peek(self) -> str:
        if self._place >= len(self._tokens):
            return ""
        kind, text = self._tokens[self._place]
        return text if kind == "sign" else ""

    def _next(self) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise CellError("#ERROR!")
        self._place += 1
        return self._tokens[self._place - 1]

    def _read(self, level: int) -> list[Plain]:
        if level == len(_LEVELS):
            return self._read_signed()
        left = self._read(level + 1)
        while self._peek() in _LEVELS[level]:
            sign = self._next()[1]
            left = [_combine(sign, _single(left), _single(self._read(level + 1)))]
        return left

    def _read_signed(self) -> list[Plain]:
        if self._peek() in ("-", "+"):
            sign = self._next()[1]
            number = _number(_single(self._read_signed()))
            return [tidy(-number if sign == "-" else number)]
        values = self._read_one()
        while self._peek() == "%":
            self._next()
            values = [tidy(_number(_single(values)) / 100)]
        return values

    def _read_one(self) -> list[Plain]:
        kind, text = self._next()
        if kind == "number":
            return [tidy(float(text))]
        if kind == "text":
            return [text[1:-1].replace('""', '"')]
        if kind == "name":
            return self._read_function(text) if self._peek() == "(" else self._read_cells(text)
        if text != "(":
            raise CellError("#ERROR!")
        values = self._read(0)
        self._expect(")")
        return values

    def _expect(self, sign: str) -> None:
        if self._next()[1] != sign:
            raise CellError("#ERROR!")

    def _read_function(self, name: str) -> list[Plain]:
        self._expect("(")
        arguments: list[list[Plain]] = []
        while self._peek() != ")":
            arguments.append(self._read(0))
            if self._peek() in (",", ";"):
                self._next()
        self._expect(")")
        return [_call(name.upper(), arguments)]

    def _read_cells(self, name: str) -> list[Plain]:
        if name.upper() in ("TRUE", "FALSE"):
            return [name.upper() == "TRUE"]
        area = parse_area(name)
        if area is None:
            raise CellError("#NAME?")
        box = area.within(self._tab.rows.count, self._tab.columns.count)
        if area.is_cell:
            return [_value_at(self._tab, box.top, box.left, self._depth)]
        found = [
            _value_at(self._tab, row, column, self._depth)
            for row, cells in list(self._tab.read(box))
            for column in sorted(cells)
            if box.left <= column < box.right
        ]
        return found or [""]


def _call(name: str, arguments: list[list[Plain]]) -> Plain:
    flat = [value for argument in arguments for value in argument]
    if name == "SUM":
        return tidy(sum(v for v in flat if isinstance(v, (int, float)) and not isinstance(v, bool)))
    if name == "COUNTA":
        return len([value for value in flat if value != ""])
    if name in ("CONCATENATE", "CONCAT"):
        return "".join(_text(value) for value in flat)
    if name == "HYPERLINK" and flat:
        return _text(flat[-1])
    if name == "LEN" and len(flat) == 1:
        return len(_text(flat[0]))
    raise CellError("#NAME?")


def _combine(sign: str, left: Plain, right: Plain) -> Plain:
    if sign == "&":
        return _text(left) + _text(right)
    if sign in _COMPARE:
        return bool(_COMPARE[sign](left, right))
    result = _COUNT[sign](_number(left), _number(right))
    if isinstance(result, complex):
        raise CellError("#NUM!")
    return tidy(result)


def _single(values: list[Plain]) -> Plain:
    if len(values) != 1:
        raise CellError("#VALUE!")
    return values[0]


def _number(value: Plain) -> float:
    if isinstance(value, str):
        if value.startswith("#"):
            raise CellError(value)
        if not value:
            return 0.0
        try:
            return float(value)
        except ValueError:
            raise CellError("#VALUE!") from None
    return float(value)


def _text(value: Plain) -> str:
    return str(value).upper() if isinstance(value, bool) else str(value)
