"""The lines that the services' code can log, found in its text."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "critical": "critical",
    "exception": "error",
}
LOGGERS = {"log", "self._log", "structlog.get_logger(__name__)"}
# Say their own event, which is found where they are made.
PASSED_ON = {"log_lines.py", "complaints.py"}


class Line(NamedTuple):
    """One log call. `values` are its fields' expressions."""

    event: str
    level: str
    service: str
    place: str
    values: dict[str, ast.expr]


def find_lines() -> Iterator[Line]:
    """All of them, in all services and what they share."""
    for path in sorted([*ROOT.glob("services/*/src/**/*.py"), *ROOT.glob("shared/*/src/**/*.py")]):
        parts = path.relative_to(ROOT).parts
        if parts[1] != "testing" and path.name not in PASSED_ON:
            yield from lines_of(path.read_text("utf-8"), parts[1], path.name)


def lines_of(text: str, package: str, file: str = "") -> Iterator[Line]:
    """The log calls in a module's text; of a `Complaint` one for each time that it is made."""
    service = "all" if package == "runtime" else package
    tree = ast.parse(text)
    complaints = dict(_complaints(tree))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute):
            continue
        holder, method = ast.unparse(call.func.value), call.func.attr
        place = f"{package}/{file}:{call.lineno}"
        values = {each.arg or "**": each.value for each in call.keywords}
        if method == "say" and holder in complaints:
            values["left_out"] = ast.Constant(0)
            yield Line(complaints[holder], "warning", service, place, values)
        elif method in LEVELS and _is_logger(call.func.value):
            if "exc_info" in values or method == "exception":
                values.pop("exc_info", None)
                values |= {"error": ast.Name("error"), "at": ast.Name("at")}
            for event in _events_of(call):
                yield Line(event, LEVELS[method], service, place, values)


def _is_logger(value: ast.expr) -> bool:
    text = ast.unparse(value)
    return text in LOGGERS or "successes" in text


def _complaints(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            made = node.value
            if ast.unparse(made.func) == "Complaint" and isinstance(made.args[0], ast.Constant):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                yield ast.unparse(target), str(made.args[0].value)


def _events_of(call: ast.Call) -> list[str]:
    """One, or the two of a choice; what is neither is no event that anybody could look up."""
    match call.args:
        case [ast.Constant(value=str(event))]:
            return [event]
        case [ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(other)))]:
            return [one, other]
        case _:
            return ["?"]
