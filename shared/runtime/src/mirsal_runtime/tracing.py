"""Spans on their way out: recorded at once, sent by OTLP/HTTP in a thread that nobody waits for."""

import contextlib
import http.client
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from mirsal_runtime import metrics
from mirsal_runtime.complaints import Complaint
from mirsal_runtime.span_bytes import (
    SpanKind,
    SpanValue,
    encode_attributes,
    encode_end,
    encode_request,
    encode_start,
)
from mirsal_runtime.span_store import RING_BYTES, SpanStore

EXPORT_SECONDS = 2.0
PAUSE_SECONDS = 0.5
LONGEST_PAUSE = 15.0
SOON_BYTES = RING_BYTES // 8
COMPLAIN_SECONDS = 60.0
NO_HEADERS: Final = SecretStr("")
_RETRYABLE: Final = frozenset({408, 429, 502, 503, 504})
_NAMES: Final = ("queue_full", "refused")

log = structlog.get_logger(__name__)


class Collector:
    """One kept connection to a collector. Raises `OSError` or `HTTPException`."""

    def __init__(self, endpoint: str, headers: SecretStr) -> None:
        parts = urlsplit(endpoint)
        self._is_secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = f"{parts.path.rstrip('/')}/v1/traces"
        self._headers = {"Content-Type": "application/x-protobuf", **_pairs(headers)}
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> int:
        """Send an export; the answer's status."""
        connection = self._connection or self._open()
        try:
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            response.read()
        except BaseException:
            self.close()
            raise
        return response.status

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> http.client.HTTPConnection:
        if self._is_secure:
            self._connection = http.client.HTTPSConnection(
                self._host,
                self._port,
                timeout=EXPORT_SECONDS,
                context=ssl.create_default_context(),
            )
        else:
            self._connection = http.client.HTTPConnection(
                self._host, self._port, timeout=EXPORT_SECONDS
            )
        return self._connection


class OtlpTracer:
    """Records spans. What the store cannot hold, because the collector is away, is dropped."""

    def __init__(
        self,
        endpoint: str,
        resource: Mapping[str, SpanValue],
        store: SpanStore,
        *,
        headers: SecretStr = NO_HEADERS,
    ) -> None:
        self._resource = resource
        self._store = store
        self._collector = Collector(endpoint, headers)
        self._hurry = threading.Event()
        self._closing = threading.Event()
        self._away = Complaint("spans_not_sent", seconds=COMPLAIN_SECONDS)
        self._full = metrics.SPANS_DROPPED.labels("queue_full")
        self._refused = metrics.SPANS_DROPPED.labels("refused")
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def record(
        self,
        name: str,
        *,
        context: str,
        parent: str,
        kind: SpanKind,
        start_ns: int,
        end_ns: int,
        attributes: Mapping[str, SpanValue],
        links: Sequence[str],
        error: str,
    ) -> None:
        """Keep a span that has ended; any thread may."""
        if self._store.is_full:
            self._full.inc()
            return
        start = encode_start(context, parent, name, kind, start_ns, encode_attributes(attributes))
        self._add(start + encode_end(end_ns, b"", links, error))

    def begin(
        self,
        name: str,
        *,
        context: str,
        parent: str,
        kind: SpanKind,
        attributes: Mapping[str, SpanValue],
    ) -> tuple[bytes, int]:
        """Keep that a span begins: should the process be killed, its successor ends it."""
        start = encode_start(
            context, parent, name, kind, time.time_ns(), encode_attributes(attributes)
        )
        return start, self._store.begin(start)

    def end(
        self,
        begun: tuple[bytes, int],
        name: str,
        attributes: Mapping[str, SpanValue],
        links: Sequence[str],
        error: str,
    ) -> None:
        """Keep the whole of a span that was begun; `name` replaces its own unless empty."""
        start, slot = begun
        more = encode_attributes(attributes)
        self._add(start + encode_end(time.time_ns(), more, links, error, name))
        self._store.end(slot)

    def forget(self, begun: tuple[bytes, int]) -> None:
        """Keep nothing of a span that was begun."""
        self._store.end(begun[1])

    def close(self) -> None:
        """Send what is left, once; blocks for at most the exporter's time-out or so."""
        self._closing.set()
        self._hurry.set()
        self._thread.join(EXPORT_SECONDS)
        if not self._thread.is_alive():
            self._store.close()

    def _add(self, span: bytes) -> None:
        if not self._store.add(span):
            self._full.inc()
        elif self._store.waiting_bytes > SOON_BYTES:
            self._hurry.set()

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        well = True
        while not self._closing.is_set():
            # A store that fills must not hurry a collector that is away.
            (self._hurry if well else self._closing).wait(pause)
            self._hurry.clear()
            well = self._export()
            pause = PAUSE_SECONDS if well else min(2 * pause, LONGEST_PAUSE)
        self._export()
        self._collector.close()

    def _export(self) -> bool:
        """Send what waits; whether the collector is well."""
        spans, count = self._store.peek()
        if not count:
            return True
        try:
            status = self._collector.post(encode_request(self._resource, spans))
        except (OSError, http.client.HTTPException) as error:
            self._away.say(error=error, spans=count)
            return False
        if status in _RETRYABLE:
            self._away.say(http_status=status, spans=count)
            return False
        self._store.drop(len(spans), count)
        if 200 <= status < 300:
            metrics.SPANS_EXPORTED.inc(count)
        else:
            self._refused.inc(count)
            self._away.say(http_status=status, spans=count)
        return True


def open_tracer(
    endpoint: str, *, service: str, instance: str, folder: Path, headers: SecretStr
) -> OtlpTracer:
    """The tracer of a process, with what its predecessor of the same name left."""
    # The SDK costs 0.2 s to import, so only who exports imports it.
    from opentelemetry.sdk.resources import Resource

    found = Resource.create({"service.name": service, "service.instance.id": instance})
    plain = {
        name: value
        for name, value in found.attributes.items()
        if isinstance(value, str | int | float | bool)
    }
    return OtlpTracer(endpoint, plain, SpanStore.open(folder, instance), headers=headers)


def _pairs(headers: SecretStr) -> dict[str, str]:
    """`name=value,name=value`, as the environment variable of OpenTelemetry's has them."""
    pairs = {}
    with contextlib.suppress(ValueError):
        for each in filter(None, headers.get_secret_value().split(",")):
            name, value = each.split("=", 1)
            pairs[name.strip()] = value.strip()
    return pairs
