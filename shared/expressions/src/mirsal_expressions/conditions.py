"""Conditions: check and evaluate CEL over the members that a condition reads, within a bound."""

import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import cel

from mirsal_expressions.cel_errors import explain_evaluation, explain_syntax, refuse_value
from mirsal_expressions.cel_functions import Functions
from mirsal_expressions.cel_rules import SOURCE_LIMIT, Cost, Examiner
from mirsal_expressions.cel_scope import check_cost, merge_paths, narrow
from mirsal_expressions.cel_tokens import tokenize
from mirsal_expressions.faults import ExpressionError, ExpressionFault, RefusedError, fault_at
from mirsal_expressions.members import Path, check_path

_CACHED_CONDITIONS: Final = 2048


class Condition(NamedTuple):
    """A compiled condition, what it reads and what it may cost."""

    program: cel.Program
    paths: tuple[tuple[Path, int], ...]
    wanted: dict[str, Any]
    functions: frozenset[str]
    cost: Cost


def check_condition(source: str, *, node_ids: Collection[str] | None = ()) -> list[ExpressionFault]:
    """What is wrong with a condition: its first fault of grammar, or all its unknown members.

    `node_ids`: the nodes whose output it may read; None leaves that unchecked.
    """
    condition = _compile(source)
    if isinstance(condition, ExpressionFault):
        return [condition]
    faults = []
    for path, offset in condition.paths:
        wrong = check_path(path, node_ids)
        if wrong:
            faults.append(fault_at(source, offset, wrong.code, wrong.message))
    return faults


def evaluate_condition(source: str, scope: Mapping[str, Any]) -> bool:
    """Whether the condition holds. Raises ExpressionError for anything but true or false."""
    condition = _compile(source)
    if isinstance(condition, ExpressionFault):
        raise ExpressionError(condition)
    try:
        given = narrow(scope, condition.wanted)
        check_cost(condition.cost, given)
        result = _execute(condition, given, scope)
    except RefusedError as refused:
        raise ExpressionError(refused.fault_in(source)) from None
    if not isinstance(result, bool):
        message = "the condition gives no true or false: compare it with something, ... == ..."
        raise ExpressionError(ExpressionFault("not_boolean", message))
    return result


def read_paths(source: str) -> tuple[Path, ...]:
    """The paths that a condition reads from its roots; none if it is broken."""
    condition = _compile(source)
    if isinstance(condition, ExpressionFault):
        return ()
    return tuple(path for path, _ in condition.paths)


def _execute(condition: Condition, given: Mapping[str, Any], scope: Mapping[str, Any]) -> Any:
    functions = Functions()
    try:
        result = condition.program.execute({**given, **functions.named(condition.functions)})
    except (LookupError, ArithmeticError, TypeError, ValueError, RuntimeError) as error:
        source = condition.program.source
        raise explain_evaluation(error, source, condition.paths, scope) from None
    if functions.refused:
        raise refuse_value(functions.refused)
    return result


def _compile(source: str) -> Condition | ExpressionFault:
    if len(source) > SOURCE_LIMIT:
        message = f"the condition is longer than {SOURCE_LIMIT} characters: decide in a code node"
        return ExpressionFault("too_large", message)
    return _compile_cached(source)


@lru_cache(maxsize=_CACHED_CONDITIONS)
def _compile_cached(source: str) -> Condition | ExpressionFault:
    try:
        examiner = Examiner(tokenize(source))
        examiner.examine()
        program = _compile_written(examiner)
    except RefusedError as refused:
        return refused.fault_in(source)
    return Condition(
        program=program,
        paths=tuple(examiner.paths),
        wanted=merge_paths(path for path, _ in examiner.paths),
        functions=frozenset(examiner.functions),
        cost=examiner.cost(),
    )


def _compile_written(examiner: Examiner) -> cel.Program:
    for pattern, offset in examiner.patterns:
        _check_pattern(pattern, offset)
    try:
        return cel.compile(" ".join(text for text, _ in examiner.written))
    except ValueError as error:
        raise explain_syntax(error, examiner.written) from None


def _check_pattern(pattern: str, offset: int) -> None:
    """Only the engine knows whether it takes a pattern; it says so at evaluation."""
    try:
        cel.evaluate(f'"".matches({json.dumps(pattern, ensure_ascii=False)})')
    except (RuntimeError, ValueError):
        message = "the pattern is no regular expression of RE2 (without look-around, references)"
        raise RefusedError("pattern", message, offset) from None
