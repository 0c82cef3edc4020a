"""The Sheets API through gspread: one request a call, with deadlines, and what its end proves.

gspread's own retrying client is not used: it repeats appends (docs/SHEETS.md).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import gspread
import orjson
import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession, Request
from gspread.exceptions import APIError
from mirsal_runtime.call_spans import STATUS_CODE, calling_http
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    RetryableError,
)
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from sheets_worker.bounded_answers import BoundedAdapter
from sheets_worker.credentials import CredentialsSource, Identity
from sheets_worker.errors import CallKind, Code, failure_of
from sheets_worker.settings import SheetsSettings
from sheets_worker.threads import Threads

GOOGLE_HOST = "https://sheets.googleapis.com"
USER_AGENT = "mirsal-sheets-worker"
# What a thread may need beyond its sockets' deadlines.
MARGIN_SECONDS = 10.0
LONGEST_WAIT = 3_600.0
CHECK_SECONDS = 10.0

AnswerT = TypeVar("AnswerT")


class TooLate(Exception):
    """The call was not begun in time, so it was not begun."""


class SheetsCall(gspread.HTTPClient):
    """gspread's client for one call: our base URL, deadlines, and nothing sent twice."""

    def __init__(
        self,
        session: requests.Session,
        base_url: str,
        timeout: tuple[float, float],
        traces: Sequence[str],
        not_after: float | None,
    ) -> None:
        super().__init__(auth=None, session=session)  # type: ignore[arg-type] # as its text says
        self._base_url = base_url.rstrip("/")
        self._not_after = not_after
        self._traces = traces
        self.timeout = timeout

    def request(
        self,
        method: str,
        endpoint: str,
        params: Any = None,
        data: bytes | None = None,
        json: Mapping[str, Any] | None = None,
        files: Any = None,
        headers: Any = None,
    ) -> requests.Response:
        """One request. Raises gspread's `APIError` for all but 2xx."""
        own: dict[str, str] = {}
        if json is not None:
            data = orjson.dumps(json)
            own["Content-Type"] = "application/json"
        url = self._base_url + endpoint.removeprefix(GOOGLE_HOST)
        first = self._traces[0] if self._traces else ""
        with calling_http(method.upper(), url, first, self._traces[1:]) as span:
            if first:
                own["traceparent"] = span.traceparent
            response = self.session.request(
                method.upper(),
                url,
                params=params,
                data=data,
                headers=own,
                timeout=self.timeout,
                allow_redirects=False,
                auth=self._check_time,
            )
            span.set(STATUS_CODE, response.status_code)
            if 200 <= response.status_code < 300:
                return response
            raise APIError(response)

    def _check_time(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The last step before a request is sent: the token may have taken a minute to get."""
        if self._not_after is not None and time.monotonic() > self._not_after:
            raise TooLate
        return request


class SheetsApi:
    """Calls Google in threads; every call has an end."""

    def __init__(self, settings: SheetsSettings, credentials: CredentialsSource) -> None:
        self._settings = settings
        self._credentials = credentials
        self._threads = Threads(settings.threads, "sheets")
        self._session: AuthorizedSession | None = None
        self._auth = Request(_open_session(requests.Session(), 1))

    async def find_identity(self) -> Identity:
        """Whose quota the calls count for. Raises `ActionRequired`."""
        return await self._threads.run(lambda: self._credentials.read()[1])

    async def check(self) -> str:
        """Whose the credentials are, once Google has given a token for them.

        Raises `AttemptFailure`.
        """

        def run() -> None:
            credentials, _ = self._credentials.read()
            try:
                credentials.refresh(partial(self._auth, timeout=CHECK_SECONDS))
            except (requests.RequestException, GoogleAuthError, ValueError) as error:
                raise failure_in(error, "read") from None

        await self._threads.run(run)
        return self._credentials.owner

    async def call(
        self,
        kind: CallKind,
        do: Callable[[gspread.HTTPClient], AnswerT],
        *,
        traces: Sequence[str] = (),
        not_after: float | None = None,
    ) -> AnswerT:
        """The answer of one call of gspread's client, made for the attempts of these contexts.

        `not_after`: monotonic seconds after which it must not begin. Raises `AttemptFailure`:
        `RetryableError` if it surely had no effect and may be tried again, `OutcomeUnknown` if
        nobody can tell.
        """
        timeout = (self._settings.connect_seconds, self._settings.answer_seconds)

        def run() -> AnswerT:
            try:
                session = self._open()
                call = SheetsCall(session, self._settings.base_url, timeout, traces, not_after)
                return do(call)
            except (requests.RequestException, GoogleAuthError, ValueError, TooLate) as error:
                raise failure_in(error, kind) from None
            except APIError as error:
                raise _failure_of_answer(error.response, kind) from None

        try:
            async with asyncio.timeout(sum(timeout) + MARGIN_SECONDS):
                return await self._threads.run(run)
        except TimeoutError:
            raise _lost(kind, "no thread had its answer in time") from None

    def close(self) -> None:
        """Close what is idle; calls that hang are left."""
        self._threads.close()
        self._auth.session.close()
        if self._session is not None:
            self._session.close()

    def _open(self) -> AuthorizedSession:
        """The session of the credentials as they are now."""
        credentials, _ = self._credentials.read()
        session = self._session
        if session is None or session.credentials is not credentials:
            session = AuthorizedSession(credentials, auth_request=self._auth)
            _open_session(session, self._settings.threads)
            self._session = session
        return session


@asynccontextmanager
async def open_sheets_api(
    settings: SheetsSettings, credentials: CredentialsSource
) -> AsyncIterator[SheetsApi]:
    """The API for one account, with its threads and connections."""
    api = SheetsApi(settings, credentials)
    try:
        yield api
    finally:
        api.close()


def failure_in(error: Exception, kind: CallKind) -> AttemptFailure:
    """What a call that ended without an answer proves. Its words stay out: they may be secret."""
    name = type(error).__name__
    if isinstance(error, TooLate):
        return RetryableError(Code.UNAVAILABLE, "the process slept before the call")
    if isinstance(error, RefreshError) and not error.retryable:
        return ActionRequired(
            Code.CREDENTIALS,
            "Google gives our account no token any more: it was revoked, or its key deleted",
        )
    if isinstance(error, RefreshError | TransportError):
        return RetryableError(Code.UNAVAILABLE, f"Google gave no token: {name}")
    if isinstance(error, GoogleAuthError):
        return ActionRequired(Code.CREDENTIALS, f"the credentials cannot be used: {name}")
    if _is_certificate(error):
        return ActionRequired(
            Code.CREDENTIALS, "the certificate is not trusted: check MIRSAL_SHEETS_BASE_URL"
        )
    if _is_unsent(error):
        return RetryableError(Code.UNAVAILABLE, f"Google cannot be reached: {name}")
    return _lost(kind, f"its answer did not come: {name}")


def _lost(kind: CallKind, what: str) -> AttemptFailure:
    if kind == "read":
        return RetryableError(Code.UNAVAILABLE, f"Google was asked, {what}")
    return OutcomeUnknown(Code.NO_ANSWER, f"the request was written, {what}")


def _is_unsent(error: Exception) -> bool:
    """Whether no connection was made."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def _is_certificate(error: Exception) -> bool:
    return isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY" in str(error)


def _failure_of_answer(response: requests.Response, kind: CallKind) -> AttemptFailure:
    try:
        body = orjson.loads(response.content)
    except ValueError:
        body = None
    wait = response.headers.get("Retry-After", "")
    seconds = float(wait) if wait.isascii() and wait.isdecimal() else 0.0
    return failure_of(
        response.status_code, body, kind, retry_after=min(seconds, LONGEST_WAIT) or None
    )


SessionT = TypeVar("SessionT", bound=requests.Session)


def _open_session(session: SessionT, connections: int) -> SessionT:
    """Without retries, proxies and cookies, and with a connection for each thread."""
    session.trust_env = False
    session.headers["User-Agent"] = USER_AGENT
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedAdapter(connections))
    return session
