"""The outermost ASGI layer: security headers, how long each call took, and unforeseen errors."""

import time

import structlog
from mirsal_runtime import metrics, telemetry
from mirsal_runtime.trace_context import quiet_traceparent
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
_SERVER_ERROR = 500
TRACEPARENT = "mirsal.traceparent"
"""Where a request's scope holds the context of its own span."""
_QUIET = frozenset({"/api/health", "/api/automation/health", "/api/automation/metrics", "/metrics"})
"""Asked every few seconds by machines: a trace of each would bury those of people's calls."""
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
        # Not sampled, a quiet call's span is recorded by nobody.
        parent = quiet_traceparent() if scope["path"] in _QUIET else _parent_of(scope)
        with telemetry.span(scope["method"], parent=parent, kind="server") as span:
            scope[TRACEPARENT] = span.traceparent
            token = telemetry.current.set(span.traceparent)
            try:
                await self._serve(scope, receive, send, span)
            finally:
                telemetry.current.reset(token)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, span: telemetry.Span
    ) -> None:
        started = time.perf_counter()
        status = 0
        traceparent = span.traceparent

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                headers.extend(SECURITY)
                headers.append((b"traceresponse", traceparent.encode()))
                headers.append((b"trace-id", traceparent[3:35].encode()))
                if not any(name == CSP[0] for name, _ in headers):
                    headers.append(CSP)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            log.error("request_failed", exc_info=error)
            if status:
                # Whole, if it is FastAPI's 500; else broken off, which only the server can show.
                if status != INTERNAL.status:
                    raise
                return
            await INTERNAL.to_response()(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", _OTHER_ROUTE)
            metrics.child_of(metrics.REQUEST_SECONDS, route, scope["method"], str(status)).observe(
                time.perf_counter() - started, telemetry.exemplar_of(traceparent)
            )
            if span.is_recorded:
                _describe(span, scope, route, status)


def _parent_of(scope: Scope) -> str:
    """The caller's context, or empty. Its baggage is left: it would be told to providers."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            given: str = value.decode("latin-1")
            return given if telemetry.is_traceparent(given) else ""
    return ""


def _describe(span: telemetry.Span, scope: Scope, route: str, status: int) -> None:
    """Say what OpenTelemetry's conventions ask of an HTTP server, but for what names people: the
    path, which has leads' ids in it, and the caller's address."""
    span.rename(f"{scope['method']} {route}")
    span.set("http.request.method", scope["method"])
    span.set("http.route", route)
    span.set("url.scheme", scope["scheme"])
    span.set("network.protocol.version", scope["http_version"])
    span.set("http.response.status_code", status)
    if status >= _SERVER_ERROR or not status:
        span.fail(str(status) if status else "disconnected")
