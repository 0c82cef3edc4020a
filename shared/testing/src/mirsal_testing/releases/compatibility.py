"""Whether what one version writes can be read by another, by their JSON Schemas; pure.

The schemas are pydantic's of our own models, so only what those say is understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_FORMS = ("pattern", "format")
# A model that refers to itself is compared this deep.
_DEEPEST = 12


class _Side(NamedTuple):
    schema: dict[str, Any]
    root: dict[str, Any]

    def at(self, schema: dict[str, Any]) -> _Side:
        """The same document elsewhere, a reference followed."""
        while "$ref" in schema:
            found: Any = self.root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return _Side(schema, self.root)

    def choices(self) -> list[_Side]:
        """What it may be: the parts of a union, or itself; parts beside its members only say which
        of these go together."""
        parts = self.schema.get("anyOf") or self.schema.get("oneOf")
        if not parts or "properties" in self.schema:
            return [self]
        return [choice for part in parts for choice in self.at(part).choices()]

    def kinds(self) -> frozenset[str]:
        """JSON types and constants; empty: anything."""
        if "const" in self.schema:
            return frozenset({repr(self.schema["const"])})
        if "enum" in self.schema:
            return frozenset(map(repr, self.schema["enum"]))
        found = self.schema.get("type", ())
        return frozenset([found] if isinstance(found, str) else found)


def unread_by(writer: dict[str, Any], reader: dict[str, Any]) -> list[str]:
    """Why a reader with the one schema may refuse what a writer with the other writes."""
    return list(_unread(_Side(writer, writer), _Side(reader, reader), "", 0))


def removed_since(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Members that the old schema names and the new one does not: they would be passed over."""
    return list(_removed(_Side(old, old), _Side(new, new), "", 0))


def _unread(writer: _Side, reader: _Side, path: str, depth: int) -> Iterator[str]:
    readers = reader.at(reader.schema).choices()
    if depth > _DEEPEST or any(not each.kinds() and not _says_more(each) for each in readers):
        return
    for written in writer.at(writer.schema).choices():
        refusals = [list(_refusals(written, each, path, depth)) for each in readers]
        if all(refusals):
            yield from min(refusals, key=len)


def _says_more(side: _Side) -> bool:
    return "properties" in side.schema


def _refusals(writer: _Side, reader: _Side, path: str, depth: int) -> Iterator[str]:
    written, read = writer.kinds(), reader.kinds()
    if not _fits(writer, written, read):
        yield f"{path or 'it'} may be {_said(written)}, read is {_said(read)}"
        return
    yield from _bounds(writer.schema, reader.schema, path)
    yield from _members(writer, reader, path, depth)
    if "items" in reader.schema and "items" in writer.schema:
        items = writer.at(writer.schema["items"]), reader.at(reader.schema["items"])
        yield from _unread(*items, f"{path}[]", depth + 1)


def _fits(writer: _Side, written: frozenset[str], read: frozenset[str]) -> bool:
    if not written or not read:
        return not read
    types = {"string"} if "const" in writer.schema or "enum" in writer.schema else set()
    wide = {"integer"} if "number" in read else set()
    return written <= read | wide or bool(types and types <= read)


def _bounds(writer: dict[str, Any], reader: dict[str, Any], path: str) -> Iterator[str]:
    for name in _LOWER:
        if name in reader and writer.get(name, float("-inf")) < reader[name]:
            yield f"{path} has no {name} of {reader[name]} where it is written"
    for name in _UPPER:
        if name in reader and writer.get(name, float("inf")) > reader[name]:
            yield f"{path} has no {name} of {reader[name]} where it is written"
    for name in _FORMS:
        if name in reader and writer.get(name) != reader[name]:
            yield f"{path} has another {name} where it is written"


def _members(writer: _Side, reader: _Side, path: str, depth: int) -> Iterator[str]:
    ours, theirs = writer.schema.get("properties", {}), reader.schema.get("properties", {})
    always = {
        name
        for name, member in ours.items()
        if name in writer.schema.get("required", ()) or member.get("default") is not None
    }
    for name in reader.schema.get("required", ()):
        if name not in always:
            yield f"{path}.{name} is needed where it is read, and not always written"
    if reader.schema.get("additionalProperties") is False:
        for name in ours.keys() - theirs.keys():
            yield f"{path}.{name} is refused where it is read"
    for name in ours.keys() & theirs.keys():
        member = writer.at(ours[name]), reader.at(theirs[name])
        yield from _unread(*member, f"{path}.{name}", depth + 1)
    values = writer.schema.get("additionalProperties"), reader.schema.get("additionalProperties")
    if isinstance(values[0], dict) and isinstance(values[1], dict):
        yield from _unread(writer.at(values[0]), reader.at(values[1]), f"{path}.*", depth + 1)


def _removed(old: _Side, new: _Side, path: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    before = [each for each in old.at(old.schema).choices() if "properties" in each.schema]
    after = [each for each in new.at(new.schema).choices() if "properties" in each.schema]
    known: dict[str, _Side] = {
        name: each.at(member)
        for each in after
        for name, member in each.schema["properties"].items()
    }
    for each in before:
        for name, member in each.schema["properties"].items():
            if name not in known:
                yield f"{path}.{name} is gone"
            else:
                yield from _removed(each.at(member), known[name], f"{path}.{name}", depth + 1)
    for left in old.at(old.schema).choices():
        for right in new.at(new.schema).choices():
            if "items" in left.schema and "items" in right.schema:
                items = left.at(left.schema["items"]), right.at(right.schema["items"])
                yield from _removed(*items, f"{path}[]", depth + 1)


def _said(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds)) or "anything"
