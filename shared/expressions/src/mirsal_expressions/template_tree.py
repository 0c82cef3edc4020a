"""A parsed template as a tree that renders itself. No syntax; no value is ever called or run."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mirsal_expressions.faults import RefusedError
from mirsal_expressions.filters import Filter
from mirsal_expressions.members import Missing, Path, look_up, write_path
from mirsal_expressions.unsuitable import UnsuitableError
from mirsal_expressions.values import text_of

# All filters of one rendering may read and write this many characters and items together, so
# that a template of thousands of filters on a huge field cannot hold a process for seconds.
WORK_LIMIT = 1024 * 1024


class Rendering:
    """One pass over one tree: the scope, the pieces written so far, and what may still be spent."""

    __slots__ = ("html", "pieces", "room", "scope", "work_left")

    def __init__(self, scope: Mapping[str, Any], html: bool, limit: int) -> None:
        self.scope = scope
        self.html = html
        self.pieces: list[str] = []
        self.room = limit
        self.work_left = WORK_LIMIT

    def write(self, text: str, offset: int | None = None) -> None:
        self.room -= len(text)
        if self.room < 0:
            raise RefusedError("output_too_large", "the rendered text is too large", offset)
        self.pieces.append(text)

    def spend(self, work: int, offset: int) -> None:
        self.work_left -= work
        if self.work_left < 0:
            message = "the template does too much work: use fewer filters on large values"
            raise RefusedError("too_much_work", message, offset)


class Expression(Protocol):
    """Anything that has a value; Missing stands for a member that does not exist."""

    @property
    def offset(self) -> int: ...

    def value(self, rendering: Rendering) -> Any: ...


@dataclass(frozen=True, slots=True)
class Literal:
    constant: str | int | float | bool | None
    offset: int

    def value(self, rendering: Rendering) -> Any:
        return self.constant


@dataclass(frozen=True, slots=True)
class Look:
    path: Path
    offset: int

    def value(self, rendering: Rendering) -> Any:
        return look_up(rendering.scope, self.path)


@dataclass(frozen=True, slots=True)
class Filtered:
    subject: Expression
    filter: Filter
    arguments: dict[str, Expression]
    offset: int

    def value(self, rendering: Rendering) -> Any:
        subject = self.subject.value(rendering)
        if type(subject) is Missing and not self.filter.takes_missing:
            raise refuse_missing(subject, self.subject.offset)
        if isinstance(subject, (str, list, tuple, dict)):
            rendering.spend(len(subject), self.offset)
        given = {}
        for name, argument in self.arguments.items():
            value = argument.value(rendering)
            if type(value) is Missing and not self.filter.takes_missing:
                raise refuse_missing(value, argument.offset)
            given[name] = value
        try:
            result = self.filter.apply(subject, **given)
        except UnsuitableError as error:
            raise RefusedError("filter", f"{self.filter.name}: {error}", self.offset) from None
        if type(result) is str:
            rendering.spend(len(result), self.offset)
        return result


@dataclass(frozen=True, slots=True)
class Output:
    """`{{ expression }}`"""

    expression: Expression
    offset: int

    def write(self, rendering: Rendering) -> None:
        value = self.expression.value(rendering)
        if type(value) is not str:
            value = self._as_text(value)
        rendering.write(html.escape(value) if rendering.html else value, self.offset)

    def _as_text(self, value: object) -> str:
        if isinstance(value, Missing):
            raise refuse_missing(value, self.offset)
        text = text_of(value)
        if text is None:
            subject = self.expression
            name = write_path(subject.path) if isinstance(subject, Look) else "this"
            message = f'{name} is not a single value: add | join(", "), | json or a member\'s name'
            raise RefusedError("not_text", message, self.offset)
        return text


class Statement(Protocol):
    def write(self, rendering: Rendering) -> None: ...


Block = Sequence[str | Statement]


@dataclass(frozen=True, slots=True)
class Choice:
    """`{% if %}`: the block of the first branch whose test holds; a test of None always holds."""

    branches: Sequence[tuple[Expression | None, Block]]

    def write(self, rendering: Rendering) -> None:
        for test, block in self.branches:
            if test is None or holds(test.value(rendering)):
                write_block(block, rendering)
                return


def write_block(block: Block, rendering: Rendering) -> None:
    for part in block:
        if isinstance(part, str):
            rendering.write(part)
        else:
            part.write(rendering)


def holds(value: object) -> bool:
    """What counts as true in `if`: anything but missing, null, false, 0 and what is empty."""
    return type(value) is not Missing and bool(value)


def refuse_missing(missing: Missing, offset: int) -> RefusedError:
    path = write_path(missing.path)
    message = f'{missing.describe()}. If it may be absent, write {path} | default("...")'
    return RefusedError("missing_member", message, offset)
