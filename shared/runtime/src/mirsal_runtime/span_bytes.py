"""Spans in OTLP's protobuf encoding, written directly. Pure.

The SDK's way takes 47 us a span, which were a third of all CPU time of a run (decision 0060); this
takes a tenth. Field numbers are those of opentelemetry/proto/trace/v1/trace.proto, which the
tests read the bytes back with.
"""

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal, TypeAlias

SpanKind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
SpanValue: TypeAlias = str | int | float | bool

_KINDS: Final[Mapping[SpanKind, bytes]] = {
    "internal": b"\x30\x01",
    "server": b"\x30\x02",
    "client": b"\x30\x03",
    "producer": b"\x30\x04",
    "consumer": b"\x30\x05",
}
_LENGTHS: Final = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(16384)]
_INTEGER_MASK: Final = (1 << 64) - 1
_fixed64 = struct.Struct("<Q").pack
_double = struct.Struct("<d").pack


def encode_start(
    context: str, parent: str, name: str, kind: SpanKind, start_ns: int, attributes: bytes = b""
) -> bytes:
    """The first part of a span: all that is known when it begins. `parent` may be empty."""
    return b"".join(
        (
            b"\x0a\x10",
            bytes.fromhex(context[3:35]),
            b"\x12\x08",
            bytes.fromhex(context[36:52]),
            b"\x22\x08" + bytes.fromhex(parent[36:52]) if parent else b"",
            _name(name),
            _KINDS[kind],
            b"\x39",
            _fixed64(start_ns),
            attributes,
        )
    )


def encode_end(
    end_ns: int,
    attributes: bytes = b"",
    links: Iterable[str] = (),
    error: str = "",
    name: str = "",
) -> bytes:
    """The last part. `links` are contexts; `error` is the failure's kind, never its words. `name`
    replaces the one that the span began with: of a field that is there twice the last counts."""
    parts = [b"\x41", _fixed64(end_ns), attributes]
    if name:
        parts.append(_name(name))
    for link in links:
        parts += (
            b"\x6a\x1c\x0a\x10",
            bytes.fromhex(link[3:35]),
            b"\x12\x08",
            bytes.fromhex(link[36:52]),
        )
    if error:
        parts += (encode_attributes({"error.type": error}), _sized(b"\x7a", _status(error)))
    return b"".join(parts)


def encode_attributes(attributes: Mapping[str, SpanValue]) -> bytes:
    """Attributes, as a part of a span."""
    parts = []
    for key, value in attributes.items():
        if type(value) is str:
            text = value.encode("utf-8", "replace")
            size = len(text)
            if size < 120:
                any_value = b"\x12" + _LENGTHS[size + 2] + b"\x0a" + _LENGTHS[size] + text
            else:
                any_value = _sized(b"\x12", _sized(b"\x0a", text))
        else:
            any_value = _sized(b"\x12", _plain(value))
        parts.append(_sized(b"\x4a", _key(key) + any_value))
    return b"".join(parts)


def frame(span: bytes) -> bytes:
    """A whole span as a field of a scope's spans."""
    return _sized(b"\x12", span)


def encode_request(resource: Mapping[str, SpanValue], spans: bytes) -> bytes:
    """The body of an export: framed spans of one resource."""
    fields = _as_resource(encode_attributes(resource))
    scope = _sized(b"\x0a", _sized(b"\x0a", b"mirsal"))
    of_scope = _sized(b"\x12", scope + spans)
    return _sized(b"\x0a", _sized(b"\x0a", fields) + of_scope)


def _as_resource(attributes: bytes) -> bytes:
    """A resource's attributes are its field 1, a span's field 9."""
    parts, place = [], 0
    while place < len(attributes):
        size, start = _read_length(attributes, place + 1)
        parts.append(b"\x0a" + attributes[place + 1 : start + size])
        place = start + size
    return b"".join(parts)


def _read_length(data: bytes, place: int) -> tuple[int, int]:
    size = shift = 0
    while True:
        byte = data[place]
        place += 1
        size |= (byte & 127) << shift
        if byte < 128:
            return size, place
        shift += 7


def _plain(value: SpanValue) -> bytes:
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & _INTEGER_MASK)
    if isinstance(value, float):
        return b"\x21" + _double(value)
    return _sized(b"\x0a", value.encode("utf-8", "replace"))


def _status(error: str) -> bytes:
    return _sized(b"\x12", error.encode("utf-8", "replace")) + b"\x18\x02"


def _sized(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    return tag + (_LENGTHS[size] if size < 16384 else _varint(size)) + content


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


@lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    return _sized(b"\x0a", name.encode())


@lru_cache(maxsize=1024)
def _name(name: str) -> bytes:
    return _sized(b"\x2a", name.encode())
