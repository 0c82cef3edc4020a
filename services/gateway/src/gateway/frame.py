"""The outermost ASGI layer: security headers, how long each call took, and unforeseen errors."""

import time
import traceback

import structlog
from mirsal_runtime import metrics
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import Problem

SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
]
CSP = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_OTHER_ROUTE = "other"
INTERNAL = Problem(500, "internal", "Internal error", "This is a fault of the server's.")

log = structlog.get_logger(__name__)


class Frame:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                headers.extend(SECURITY)
                if "content-security-policy" not in Headers(raw=headers):
                    headers.append(CSP)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            # Without the error's text, which may hold what is nobody's business.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("request_failed", error=type(error).__name__, where=where)
            if status:
                # Whole, if it is FastAPI's 500; else broken off, which only the server can show.
                if status != INTERNAL.status:
                    raise
                return
            await INTERNAL.to_response()(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", _OTHER_ROUTE)
            metrics.REQUEST_SECONDS.labels(route, scope["method"], str(status)).observe(
                time.perf_counter() - started
            )
