"""Bodies on the wire: reading one up to Google's limit, answering an error, answering half."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from mirsal_testing.simulators.listener import answer_json
from mirsal_testing.simulators.sheets.errors import MAX_BODY_BYTES, GoogleError

if TYPE_CHECKING:
    from mirsal_testing.simulators.sheets.tokens import OAuthError


async def read_body(request: web.BaseRequest) -> bytes | None:
    """None where it is larger than Google takes; it is read to its end all the same."""
    if not request.body_exists:
        return b""
    found = bytearray()
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            found += chunk
    return bytes(found) if size <= MAX_BODY_BYTES else None


def answer_json_error(
    error: GoogleError | OAuthError, retry_after: int | None = None
) -> web.Response:
    if isinstance(error, GoogleError):
        answer = answer_json(error.body(), error.code)
    else:
        answer = answer_json(error.body, error.status)
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


async def answer_half(request: web.BaseRequest, whole: web.Response) -> None:
    """Sends the head and half of the body, and leaves the connection to be severed."""
    body = whole.body
    assert isinstance(body, bytes)  # noqa: S101 - answer_json makes bytes
    partial = web.StreamResponse(headers={"Content-Type": "application/json"})
    partial.content_length = len(body)
    await partial.prepare(request)
    await partial.write(body[: len(body) // 2])
