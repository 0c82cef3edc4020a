"""Templates: check, compile and render. What a value holds is never read as a template."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from mirsal_expressions.faults import ExpressionError, ExpressionFault, RefusedError, fault_at
from mirsal_expressions.members import Path, check_path
from mirsal_expressions.template_parser import ParsedTemplate, parse_template
from mirsal_expressions.template_tree import Rendering, write_block

OUTPUT_LIMIT = 256 * 1024
_CACHED_SOURCES = 2048
_CACHED_SOURCE_LENGTH = 8 * 1024


class Template:
    """A template ready to render, as often as wanted and from any thread."""

    __slots__ = ("_parsed", "html", "source")

    def __init__(self, parsed: ParsedTemplate, html: bool) -> None:
        self._parsed = parsed
        self.source = parsed.source
        self.html = html

    def render(self, scope: Mapping[str, Any], *, limit: int = OUTPUT_LIMIT) -> str:
        """The text, at most `limit` bytes of UTF-8. Raises ExpressionError."""
        rendering = Rendering(scope, self.html, limit)
        try:
            write_block(self._parsed.block, rendering)
        except RefusedError as refused:
            raise ExpressionError(refused.fault_in(self.source)) from None
        text = "".join(rendering.pieces)
        _check_size(text, limit)
        return text


def check_template(source: str, *, node_ids: Collection[str] | None = ()) -> list[ExpressionFault]:
    """All that is wrong with a template (at most 20 faults), in the order of the text.

    `node_ids`: the nodes whose output it may read; None leaves that unchecked.
    """
    if is_plain(source):
        return []
    parsed = _parse(source)
    faults = list(parsed.faults)
    for path, offset in parsed.paths:
        wrong = check_path(path, node_ids)
        if wrong:
            faults.append(fault_at(source, offset, wrong.code, wrong.message))
    return sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0))


def compile_template(source: str, *, html: bool = False) -> Template:
    """The template, from a bounded cache. Raises ExpressionError with its first fault.

    `html`: values are escaped, so that they are text wherever HTML has text or quoted attributes.
    """
    parsed = _parse(source)
    if parsed.faults:
        raise ExpressionError(parsed.faults[0])
    return Template(parsed, html)


def render_template(
    source: str, scope: Mapping[str, Any], *, html: bool = False, limit: int = OUTPUT_LIMIT
) -> str:
    """The text of a template, at most `limit` bytes of UTF-8. Raises ExpressionError.

    A plain source is its own text, whatever its length.
    """
    if is_plain(source):
        return source
    return compile_template(source, html=html).render(scope, limit=limit)


def read_template_paths(source: str) -> tuple[Path, ...]:
    """The paths that a template reads from its roots."""
    return () if is_plain(source) else tuple(path for path, _ in _parse(source).paths)


def is_plain(source: str) -> bool:
    """Whether the source holds no tag at all, which is quick to see."""
    return "{" not in source or not ("{{" in source or "{%" in source or "{#" in source)


def _check_size(text: str, limit: int) -> None:
    """Raises ExpressionError for text over `limit` bytes of UTF-8 or with no form in UTF-8."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        message = "the text holds half a character (a lone surrogate): write the whole character"
        raise ExpressionError(ExpressionFault("not_text", message)) from None
    if size > limit:
        message = f"the rendered text is larger than {limit} bytes: render less, or truncate values"
        raise ExpressionError(ExpressionFault("output_too_large", message))


def _parse(source: str) -> ParsedTemplate:
    return _parse_cached(source) if len(source) <= _CACHED_SOURCE_LENGTH else parse_template(source)


_parse_cached = lru_cache(maxsize=_CACHED_SOURCES)(parse_template)
