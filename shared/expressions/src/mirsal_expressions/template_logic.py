"""What an `{% if %}` can ask: comparison, membership, `is defined`, and, or, not."""

from dataclasses import dataclass
from typing import Any

from mirsal_expressions.faults import RefusedError
from mirsal_expressions.members import Missing
from mirsal_expressions.template_tree import Expression, Rendering, holds

COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])


@dataclass(frozen=True, slots=True)
class Both:
    left: Expression
    right: Expression
    offset: int

    def value(self, rendering: Rendering) -> bool:
        return holds(self.left.value(rendering)) and holds(self.right.value(rendering))


@dataclass(frozen=True, slots=True)
class Either:
    left: Expression
    right: Expression
    offset: int

    def value(self, rendering: Rendering) -> bool:
        return holds(self.left.value(rendering)) or holds(self.right.value(rendering))


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expression
    offset: int

    def value(self, rendering: Rendering) -> bool:
        return not holds(self.operand.value(rendering))


@dataclass(frozen=True, slots=True)
class IsDefined:
    operand: Expression
    offset: int

    def value(self, rendering: Rendering) -> bool:
        return type(self.operand.value(rendering)) is not Missing


@dataclass(frozen=True, slots=True)
class Comparison:
    """Numbers compare with numbers and texts with texts; a missing member equals null."""

    left: Expression
    operator: str
    right: Expression
    offset: int

    def value(self, rendering: Rendering) -> bool:
        left = _or_null(self.left.value(rendering))
        right = _or_null(self.right.value(rendering))
        if self.operator in ("==", "!="):
            return _same(left, right, self.offset) == (self.operator == "==")
        if not _ordered(left, right):
            message = (
                f"{self.operator} compares two numbers or two texts:"
                " test first with `is defined`, or give a default"
            )
            raise RefusedError("not_comparable", message, self.offset)
        if self.operator == "<":
            return bool(left < right)
        if self.operator == "<=":
            return bool(left <= right)
        return bool(left > right if self.operator == ">" else left >= right)


@dataclass(frozen=True, slots=True)
class Contains:
    """`part in whole`: an item of a list, a name of an object, or a piece of a text."""

    part: Expression
    whole: Expression
    offset: int

    def value(self, rendering: Rendering) -> bool:
        part = _or_null(self.part.value(rendering))
        whole = _or_null(self.whole.value(rendering))
        if whole is None:
            return False
        if isinstance(whole, str):
            if not isinstance(part, str):
                raise self._refuse()
            rendering.spend(len(whole), self.offset)
            return part in whole
        if isinstance(whole, dict):
            return isinstance(part, str) and part in whole
        if not isinstance(whole, (list, tuple)):
            raise self._refuse()
        rendering.spend(len(whole), self.offset)
        return any(
            _same(part, item, self.offset) for item in whole if not isinstance(item, (dict, list))
        )

    def _refuse(self) -> RefusedError:
        message = "`in` looks for an item in a list, a name in an object or a text in a text"
        return RefusedError("not_comparable", message, self.offset)


def _or_null(value: Any) -> Any:
    return None if type(value) is Missing else value


def _same(left: Any, right: Any, offset: int) -> bool:
    if isinstance(left, (dict, list, tuple)) or isinstance(right, (dict, list, tuple)):
        message = "lists and objects cannot be compared: compare a member, or use `in`"
        raise RefusedError("not_comparable", message, offset)
    # True == 1 in Python, not in JSON.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _ordered(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if isinstance(left, (int, float)):
        return isinstance(right, (int, float))
    return isinstance(left, str) and isinstance(right, str)
