"""An answer after which the connection ends, although its body is not read."""

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LINGER_SECONDS = 1.0
LINGER_BYTES = 32 * 1024 * 1024


class LastResponse(Response):
    """Sends all of the answer at once, then reads on for a moment before the connection ends.

    A connection that is closed with unread data is reset, and many clients lose the answer then.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer and linger."""
        self.headers["connection"] = "close"
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await send({"type": "http.response.body", "body": bytes(self.body), "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _read_on(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _read_on(receive: Receive) -> None:
    size = 0
    while size < LINGER_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return
