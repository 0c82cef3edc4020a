"""What is wrong with an expression, where, and what to write instead. No parsing lives here."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class ExpressionFault:
    """One thing that is wrong. Lines and columns count from 1, columns in characters.

    `message` is one or two sentences for the author and ends with the remedy. It names members
    of the scope but never holds a lead's values, so it may be logged and stored.
    `pointer` is the JSON pointer (RFC 6901) of the text, where a whole JSON value was looked at.
    """

    code: str
    message: str
    line: int | None = None
    column: int | None = None
    pointer: str | None = None


class ExpressionError(ValueError):
    """An expression that cannot be compiled, rendered or evaluated: the node fails, permanently."""

    def __init__(self, fault: ExpressionFault) -> None:
        super().__init__(fault)
        self.fault = fault

    @property
    def code(self) -> str:
        return self.fault.code

    @property
    def message(self) -> str:
        return self.fault.message

    @property
    def line(self) -> int | None:
        return self.fault.line

    @property
    def column(self) -> int | None:
        return self.fault.column

    @property
    def pointer(self) -> str | None:
        return self.fault.pointer

    def __str__(self) -> str:
        places = [] if self.pointer is None else [self.pointer or "/"]
        if self.line is not None:
            places.append(f"line {self.line}, column {self.column}")
        return ": ".join([", ".join(places), self.message] if places else [self.message])

    def within(self, pointer: str) -> Self:
        """The same error, said to be in the text at `pointer`."""
        return type(self)(replace(self.fault, pointer=pointer))


class RefusedError(Exception):
    """A fault at an offset of a source, on its way to whoever knows the source."""

    def __init__(self, code: str, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset

    def fault_in(self, source: str) -> ExpressionFault:
        if self.offset is None:
            return ExpressionFault(self.code, self.message)
        return fault_at(source, self.offset, self.code, self.message)


def fault_at(source: str, offset: int, code: str, message: str) -> ExpressionFault:
    """The fault with `offset` (characters from 0) turned into line and column."""
    before = source[:offset]
    line = before.count("\n") + 1
    column = offset - (before.rfind("\n") + 1) + 1
    return ExpressionFault(code, message, line, column)
