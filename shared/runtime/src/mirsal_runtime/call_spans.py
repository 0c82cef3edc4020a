"""Spans of calls to providers. Of the request they hold method and server, never its content."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final
from urllib.parse import urlsplit

from mirsal_runtime import telemetry
from mirsal_runtime.attempt import ClaimRefused
from mirsal_runtime.failures import AttemptFailure

STATUS_CODE: Final = "http.response.status_code"


def server_attributes(host: str, port: int, protocol: str) -> dict[str, telemetry.SpanValue]:
    """Who is called."""
    return {"server.address": host, "server.port": port, "network.protocol.name": protocol}


@contextmanager
def calling(
    name: str,
    parent: str,
    attributes: dict[str, telemetry.SpanValue],
    links: Sequence[str] = (),
    kind: telemetry.SpanKind = "client",
) -> Iterator[telemetry.Span]:
    """The span of one call for an attempt, or for several: `links` are the others'.

    An `AttemptFailure` is told by its code. Where the claim is refused there was no call.
    """
    if not telemetry.is_recorded(parent):
        with telemetry.pass_on(parent) as span:
            yield span
        return
    others = [each for each in links if telemetry.is_recorded(each) and each != parent]
    with telemetry.span(
        name, parent=parent, kind=kind, attributes=attributes, links=others
    ) as span:
        try:
            yield span
        except ClaimRefused:
            span.forget()
            raise
        except AttemptFailure as failure:
            span.fail(failure.code)
            raise


def calling_http(
    method: str, url: str, parent: str, links: Sequence[str] = ()
) -> AbstractContextManager[telemetry.Span]:
    """The span of an HTTP request; its path stays out, since ids of people may be in it."""
    parts = urlsplit(url)
    attributes: dict[str, telemetry.SpanValue] = {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "url.scheme": parts.scheme,
    }
    if parts.port is not None:
        attributes["server.port"] = parts.port
    return calling(method, parent, attributes, links)
