"""JSON values whose strings are templates, such as a node's config. Keys are never templates.
Paths are JSON pointers (RFC 6901); a path stands for all that lies below it, too."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from mirsal_expressions.faults import ExpressionError, ExpressionFault
from mirsal_expressions.templates import OUTPUT_LIMIT, check_template, is_plain, render_template

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

DEPTH_LIMIT: Final = 64
RENDERED_LIMIT: Final = 512 * 1024


def render_value(
    value: JsonValue,
    scope: Mapping[str, Any],
    *,
    html_paths: Collection[str] = (),
    verbatim_paths: Collection[str] = (),
) -> JsonValue:
    """A copy of `value` with its strings rendered; every other scalar stays what it is.

    `html_paths`: HTML, where values are escaped. `verbatim_paths`: no templates, such as the
    source of a code node. A string renders to at most 256 KiB, all of them to 512 Ki characters.
    Raises ExpressionError, whose pointer says where.
    """
    return _Walk(scope, html_paths, verbatim_paths).render(value, "", 0)


def check_value(
    value: JsonValue,
    *,
    node_ids: Collection[str] | None = (),
    verbatim_paths: Collection[str] = (),
) -> list[ExpressionFault]:
    """All that is wrong with the templates in `value`, each with its pointer."""
    faults = []
    try:
        for pointer, text in _strings(value, "", 0):
            if not _covers(verbatim_paths, pointer):
                found = check_template(text, node_ids=node_ids)
                faults += [replace(fault, pointer=pointer) for fault in found]
    except ExpressionError as error:
        faults.append(error.fault)
    return faults


class _Walk:
    def __init__(
        self,
        scope: Mapping[str, Any],
        html_paths: Collection[str],
        verbatim_paths: Collection[str],
    ) -> None:
        self.scope = scope
        self.html_paths = html_paths
        self.verbatim_paths = verbatim_paths
        self.room = RENDERED_LIMIT

    def render(self, value: JsonValue, pointer: str, depth: int) -> JsonValue:
        if isinstance(value, str):
            return value if is_plain(value) else self._render_text(value, pointer)
        if isinstance(value, (dict, list)):
            _check_depth(pointer, depth)
        if isinstance(value, dict):
            return {
                name: self.render(member, _below(pointer, name), depth + 1)
                for name, member in value.items()
            }
        if isinstance(value, list):
            return [
                self.render(item, f"{pointer}/{index}", depth + 1)
                for index, item in enumerate(value)
            ]
        return value

    def _render_text(self, source: str, pointer: str) -> str:
        if _covers(self.verbatim_paths, pointer):
            return source
        html = _covers(self.html_paths, pointer)
        try:
            text = render_template(source, self.scope, html=html, limit=OUTPUT_LIMIT)
        except ExpressionError as error:
            raise error.within(pointer) from None
        self.room -= len(text)
        if self.room < 0:
            message = f"the texts of this node are larger than {RENDERED_LIMIT} characters together"
            raise ExpressionError(ExpressionFault("output_too_large", message, pointer=pointer))
        return text


def _strings(value: JsonValue, pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
        return
    if not isinstance(value, (dict, list)):
        return
    _check_depth(pointer, depth)
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for name, member in members:
        yield from _strings(member, _below(pointer, str(name)), depth + 1)


def _check_depth(pointer: str, depth: int) -> None:
    if depth >= DEPTH_LIMIT:
        message = f"lists and objects are nested more than {DEPTH_LIMIT} deep"
        raise ExpressionError(ExpressionFault("too_deep", message, pointer=pointer))


def _below(pointer: str, name: str) -> str:
    if "~" in name or "/" in name:
        name = name.replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{name}"


def _covers(paths: Collection[str], pointer: str) -> bool:
    return any(pointer == path or pointer.startswith(path + "/") for path in paths)
