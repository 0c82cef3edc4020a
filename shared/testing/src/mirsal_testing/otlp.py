"""An OTLP receiver for tests: takes spans over HTTP and shows them as they were meant."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True)
class Seen:
    """One span. Ids are hexadecimal, times nanoseconds; `links` are (trace, span)."""

    service: str
    instance: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    error: str


class OtlpReceiver:
    """Listens on a free port of this machine until closed; keeps every span."""

    def __init__(self, *, status: int = 200) -> None:
        self.status = status
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self._unread: list[bytes] = []
        self._spans: list[Seen] = []
        receiver = self

        class Exchange(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self.path, dict(self.headers), body)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[Seen]:
        """All that came. They are read when somebody looks: a storm is to be stormy, not read."""
        with self._lock:
            for body in self._unread:
                self._spans += _read(ExportTraceServiceRequest.FromString(body))
            self._unread.clear()
            return list(self._spans)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """One export."""
        if path != "/v1/traces":
            raise ValueError(path)
        with self._lock:
            self.headers.append(headers)
            self.bodies.append(body)
            if self.status == 200:
                self._unread.append(body)

    def traces(self) -> dict[str, list[Seen]]:
        """All spans by their trace."""
        found: dict[str, list[Seen]] = defaultdict(list)
        for span in self.spans:
            found[span.trace_id].append(span)
        return found

    def wait_for(self, is_there: Callable[[list[Seen]], bool], *, seconds: float = 15) -> None:
        """Wait until the spans satisfy `is_there`. Raises `TimeoutError`."""
        until = time.monotonic() + seconds
        while not is_there(self.spans):
            if time.monotonic() > until:
                raise TimeoutError(f"not among {len(self.spans)} spans")
            time.sleep(0.05)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _read(request: ExportTraceServiceRequest) -> Iterable[Seen]:
    for resource in request.resource_spans:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    about["service.name"],
                    about["service.instance.id"],
                    span.name,
                    KINDS[span.kind],
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span.attributes),
                    tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    span.status.message if span.status.code == 2 else "",
                )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
