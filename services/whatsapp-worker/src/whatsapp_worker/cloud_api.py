"""The WhatsApp Cloud API over kept connections: one POST, and what its answer proves.

aiohttp by itself, for a call costs a tenth of what httpx takes (docs/decisions/0003).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp
import orjson
from aiohttp.connector import Connection
from mirsal_contracts.message import JsonObject
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.call_spans import STATUS_CODE, calling_http
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)

from whatsapp_worker.errors import MINUTE, failure_of, readable
from whatsapp_worker.settings import WhatsAppSettings

MOST_BYTES = 256 * 1024
DNS_SECONDS = 60
LONGEST_WAIT = 24 * 3_600.0
CHECK_SECONDS = 10.0


class Accepted(NamedTuple):
    """The provider has the message: its id there, and the recipient's, if it was told."""

    message_id: str
    wa_id: str | None


class Number(NamedTuple):
    """A phone number as the provider names it."""

    id: str
    display: str | None
    name: str | None


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class _ConnectionGone(Exception):
    """The connection closed while the claim was pending: nothing was written to it."""


class _Call:
    """One attempt's way through aiohttp; `written` from the moment that bytes may go out."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._claimed = False
        self.limit = asyncio.timeout(None)
        self.written = False

    async def begin(self, connection: Connection) -> None:
        """Claim the attempt, once, now that its connection is in hand."""
        if not self._claimed:
            seconds = await self._attempt.claim()
            self._claimed = True
            self.limit.reschedule(asyncio.get_running_loop().time() + seconds)
        protocol = connection.protocol
        if protocol is None or not protocol.is_connected():
            raise _ConnectionGone
        self.written = True


_call: ContextVar[_Call] = ContextVar("call")


class _ClaimedRequest(aiohttp.ClientRequest):
    """A request that is claimed with its connection in hand, before its first byte."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        await _call.get().begin(conn)
        return await super().send(conn)


class CloudApi:
    """Posts messages for one phone number.

    `session` keeps its connections. One that the provider closes while the claim is pending is
    replaced, once, by one of `fresh`, which keeps none.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        fresh: aiohttp.ClientSession,
        settings: WhatsAppSettings,
    ) -> None:
        self.default_region = settings.default_region
        self._sessions = (session, fresh)
        self._url = settings.messages_url
        self._number_url = settings.number_url
        self._token = settings.token.get_secret_value()
        self._headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "mirsal-whatsapp-worker",
        }

    async def post_message(self, message: JsonObject, attempt: Attempt) -> Accepted:
        """Claim the attempt and send the message.

        Raises `RetryableError` if the connection was never made or broke before the first byte,
        what the provider's error means, and `OutcomeUnknown` for everything that leaves open
        whether the message was taken: no answer, half of one, one without sense.
        """
        with calling_http("POST", self._url, attempt.traceparent) as span:
            headers = self._headers
            if attempt.traceparent:
                headers = {**headers, "traceparent": span.traceparent}
            answer = await self._ask(_Call(attempt), orjson.dumps(message), headers)
            span.set(STATUS_CODE, answer.status)
            return self._judge(*answer)

    async def _ask(self, call: _Call, body: bytes, headers: Mapping[str, str]) -> _Answer:
        token = _call.set(call)
        try:
            async with call.limit:
                return await self._exchange(body, headers)
        except (aiohttp.ClientError, OSError) as error:
            # Without its cause: aiohttp's errors hold the request's headers, and those the token.
            raise self._broken(error, written=call.written) from None
        finally:
            _call.reset(token)

    async def read_number(self) -> Number:
        """What the provider says of the phone number. Raises what its answer means."""
        limit = aiohttp.ClientTimeout(total=CHECK_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit, auto_decompress=False) as session,
                session.get(self._number_url, headers=self._headers, allow_redirects=False) as got,
            ):
                answer = _Answer(got.status, got.headers, await _read(got))
        except (aiohttp.ClientError, OSError) as error:
            # Without its cause: see `post_message`.
            raise self._broken(error, written=False) from None
        found = _parse(answer.body)
        known = found.get("id")
        if not 200 <= answer.status < 300 or not isinstance(known, str):
            raise self._failure_in(*answer) or _bare(answer.status, None)
        return Number(known, _text(found, "display_phone_number"), _text(found, "verified_name"))

    async def _exchange(self, body: bytes, headers: Mapping[str, str]) -> _Answer:
        for session in self._sessions:
            with suppress(_ConnectionGone):
                async with session.post(
                    self._url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    return _Answer(response.status, response.headers, await _read(response))
        raise RetryableError("whatsapp_disconnected", "the connection closed before the call")

    def _judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Accepted:
        answer = _parse(body)
        is_success = 200 <= status < 300
        if is_success and answer.get("messages"):
            return _accepted(answer)
        failure = self._failure_in(status, headers, body)
        if failure is not None:
            raise failure
        if is_success:
            return _accepted(answer)
        raise _bare(status, _seconds_of(headers.get("Retry-After", "")))

    def _failure_in(
        self, status: int, headers: Mapping[str, str], body: bytes
    ) -> AttemptFailure | None:
        """What Meta's own error in an answer means; None where there is none."""
        error = _parse(body).get("error")
        if not isinstance(error, dict):
            return None
        retry_after = _seconds_of(headers.get("Retry-After", ""))
        return failure_of(status, error, retry_after=retry_after, secret=self._token)

    def _broken(self, error: Exception, *, written: bool) -> AttemptFailure:
        what = f"{type(error).__name__}: {readable(str(error), self._token)}"
        if written:
            return OutcomeUnknown(
                "whatsapp_no_answer", f"the message was written, its answer not read. {what}"
            )
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return ActionRequired(
                "whatsapp_certificate_refused", f"check MIRSAL_WHATSAPP_BASE_URL. {what}"
            )
        return RetryableError("whatsapp_unreachable", f"WhatsApp cannot be reached. {what}")


@asynccontextmanager
async def open_cloud_api(settings: WhatsAppSettings) -> AsyncIterator[CloudApi]:
    """The API for one number, with its pool of connections."""
    most = settings.connections
    kept = aiohttp.TCPConnector(
        limit=most, keepalive_timeout=settings.idle_seconds, ttl_dns_cache=DNS_SECONDS
    )
    fresh = aiohttp.TCPConnector(limit=most, force_close=True, ttl_dns_cache=DNS_SECONDS)
    async with _open_session(kept, settings) as session, _open_session(fresh, settings) as other:
        yield CloudApi(session, other, settings)


def _open_session(
    connector: aiohttp.TCPConnector, settings: WhatsAppSettings
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        request_class=_ClaimedRequest,
        timeout=aiohttp.ClientTimeout(total=None, connect=settings.connect_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            response.close()
            raise aiohttp.ClientPayloadError(f"the answer is longer than {MOST_BYTES} bytes")
    return bytes(body)


def _accepted(answer: JsonObject) -> Accepted:
    message_id = _first(answer.get("messages"), "id")
    if not message_id:
        raise OutcomeUnknown("whatsapp_no_message_id", "WhatsApp's answer has no message id")
    return Accepted(message_id, _first(answer.get("contacts"), "wa_id"))


def _bare(status: int, retry_after: float | None) -> AttemptFailure:
    """An answer without Meta's error: from something on the way, or from a server in trouble."""
    code, said = f"whatsapp_http_{status}", f"the answer was a bare {status}"
    if status >= 500 or status == 408:
        return OutcomeUnknown(code, f"{said}: nobody can tell whether the message was taken")
    if status == 429:
        return ThrottledError(code, f"{said}: send less", retry_after=retry_after or MINUTE)
    if status < 400 or status in (401, 403, 404, 405, 407):
        return ActionRequired(code, f"{said}: check MIRSAL_WHATSAPP_BASE_URL and _API_VERSION")
    return PermanentError(code, f"{said}: something on the way refuses the message")


def _parse(body: bytes) -> JsonObject:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _text(answer: JsonObject, member: str) -> str | None:
    """A text of sensible length."""
    value = answer.get(member)
    return value if isinstance(value, str) and len(value) <= 512 and value.isprintable() else None


def _first(items: object, member: str) -> str | None:
    """A member of the first object of a list, if it is a text of sensible length."""
    if isinstance(items, list) and items and isinstance(items[0], dict):
        return _text(items[0], member) or None
    return None


def _seconds_of(retry_after: str) -> float | None:
    """The `Retry-After` header: seconds, or a date. None if it is absent or makes no sense."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT) or None
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(seconds, LONGEST_WAIT) if seconds > 0 else None
