"""Bodies of requests: read within bounds, parsed strictly, each fault with its JSON pointer."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, JsonValue, ValidationError
from starlette.requests import ClientDisconnect, Request

from gateway.pointers import faults_of, join
from gateway.problems import Fault, Problem, invalid, too_large

BODY_BYTES = 1024 * 1024
BODY_SECONDS = 10.0
"""The whole body of an ordinary request must have come within this time."""
STREAM_SECONDS = 600.0
"""A whole import, what is done with it included."""
STREAM_GRACE_SECONDS = 30.0
STREAM_BYTES_A_SECOND = 4_096
"""A client that lets the server wait for longer than the grace sends at least so much."""
JSON_DEPTH = 64
MOST_MEMBERS = 200
"""Of a body itself, whose models have a few dozen: each unknown one would be a fault of its own."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class Json(NamedTuple):
    """A parsed body. `canonical` is the same for bodies that mean the same."""

    value: JsonValue
    canonical: bytes


async def read_body(request: Request, *, limit: int = BODY_BYTES) -> bytes:
    """The body. Raises a 413 `Problem` for more than `limit` bytes, and 408 if it is slow."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _over(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _over(limit)
                chunks.append(chunk)
    except TimeoutError as error:
        raise slow() from error
    except ClientDisconnect as error:
        raise Problem(400, "incomplete", "Incomplete request", "The body broke off.") from error
    return b"".join(chunks)


class Patience(NamedTuple):
    """How long a stream may take: between two chunks, in all, and on average (see above)."""

    chunk_seconds: float = BODY_SECONDS
    total_seconds: float = STREAM_SECONDS
    grace_seconds: float = STREAM_GRACE_SECONDS


PATIENCE = Patience()


async def stream_body(
    request: Request, *, limit: int, patience: Patience = PATIENCE
) -> AsyncIterator[bytes]:
    """The body's chunks. Raises as `read_body` does."""
    size, waited = 0, 0.0
    loop = asyncio.get_running_loop()
    until = loop.time() + patience.total_seconds
    chunks = aiter(request.stream())
    while True:
        asked = loop.time()
        if asked > until:
            # A chunk that is there already would be handed out without any wait.
            raise slow()
        try:
            async with asyncio.timeout_at(min(asked + patience.chunk_seconds, until)):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise slow() from error
        except ClientDisconnect as error:
            raise Problem(400, "incomplete", "Incomplete request", "The body broke off.") from error
        waited += loop.time() - asked
        size += len(chunk)
        if size > limit:
            raise _over(limit)
        if waited > patience.grace_seconds and size < waited * STREAM_BYTES_A_SECOND:
            raise slow()
        yield chunk


def parse(raw: bytes) -> Json | Problem:
    """Any JSON that can be kept: no U+0000, no number beyond a double, not too deep."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return invalid(
            [Fault(f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.")]
        )
    if raw.count(b"[") + raw.count(b"{") > JSON_DEPTH and _depth(value) > JSON_DEPTH:
        return invalid([Fault(f"Nested deeper than {JSON_DEPTH} levels.")])
    if b"\\u0000" in raw:
        faults = list(_find_nulls(value, ""))
        if faults:
            return invalid(faults)
    return Json(value, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def fit(model: type[ModelT], body: Json | Problem) -> ModelT | Problem:
    """The body as a `model`, by its wire names and without any conversion of types."""
    if isinstance(body, Problem):
        return body
    if isinstance(body.value, dict) and len(body.value) > MOST_MEMBERS:
        return invalid([Fault(f"has {len(body.value)} members; it may have {MOST_MEMBERS}")])
    # Written anew, so that both parsers have read the same, and in the order of the caller's.
    text = orjson.dumps(body.value)
    try:
        return model.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        return invalid(faults_of(error, body.value))


async def read_model(request: Request, model: type[ModelT]) -> ModelT:
    """The request's body as a `model`. Raises a `Problem`."""
    fitted = fit(model, parse(await read_body(request)))
    if isinstance(fitted, Problem):
        raise fitted
    return fitted


def _over(limit: int) -> Problem:
    return too_large(f"The body may have at most {limit:,} bytes.", is_last=True)


def slow() -> Problem:
    """408, which ends the connection."""
    return Problem(
        408,
        "slow-request",
        "Request timeout",
        "The body did not arrive in time.",
        is_last=True,
    )


def _depth(value: JsonValue) -> int:
    """How deep the lists and objects nest; level by level, so that depth costs no recursion."""
    level: list[JsonValue] = [value]
    depth = 0
    while level := [each for each in level if isinstance(each, list | dict)]:
        depth += 1
        level = [
            inner for each in level for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


def _find_nulls(value: JsonValue, pointer: str) -> Iterator[Fault]:
    if isinstance(value, str):
        if "\0" in value:
            yield Fault("holds U+0000, which cannot be stored", pointer)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if "\0" in name:
                yield Fault("has a member whose name holds U+0000", pointer)
            else:
                yield from _find_nulls(inner, join(pointer, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _find_nulls(inner, join(pointer, index))
