"""The door of `/api/automation`, as ASGI middleware: load, key, rate limit, in this order."""

from typing import NamedTuple

from mirsal_runtime import metrics
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.auth.access import OPEN
from gateway.auth.bearer import Bearer
from gateway.auth.guard import PRINCIPAL
from gateway.auth.key_set import KeysUnavailable
from gateway.auth.rate_limit import RateLimiter, Verdict, client_of
from gateway.auth.schemas import Principal
from gateway.auth.service import Doorkeeper
from gateway.problems import Problem, invalid_key, not_found, unavailable
from gateway.store import DatabaseUnavailable

GUARDED = "/api/automation"
_OPEN_PATHS = frozenset(path for _, path in OPEN)
MOST_AT_ONCE = 512
"""Calls under way in one process; more are answered 503 at once."""
WINDOW_SECONDS = 60


class Limits(NamedTuple):
    """Calls a minute and client address: all, and those with a key or token that is wrong."""

    calls: int
    bad_keys: int


class Door:
    """What the middleware asks; made when the process has its servers."""

    def __init__(
        self,
        doorkeeper: Doorkeeper,
        bearer: Bearer | None,
        limiter: RateLimiter,
        limits: Limits,
    ) -> None:
        self._doorkeeper = doorkeeper
        self._bearer = bearer
        self._limiter = limiter
        self._limits = limits

    async def admit(self, scope: Scope) -> tuple[Principal, Verdict | None]:
        """Who calls, and what the rate limit says. Raises a 401, 429 or 503 `Problem`."""
        key, token = _key_in(scope), _token_in(scope)
        principal = await self._identify(key, token)
        if principal is None:
            await self._count_bad(key or token, scope)
            raise invalid_key(with_tokens=self._bearer is not None)
        if principal.rate_limit_per_minute is not None:
            limit, client = principal.rate_limit_per_minute, principal.limited_as
        else:
            limit, client = self._limits.calls, f"ip:{_client_of(scope)}"
        verdict = await self._limiter.hit(client, limit) if limit else None
        if principal.workspace_limit and (verdict is None or verdict.allowed):
            shared = f"workspace:{principal.workspace}"
            together = await self._limiter.hit(shared, principal.workspace_limit)
            if verdict is None or together.remaining < verdict.remaining or not together.allowed:
                verdict = together
        return principal, verdict

    async def is_still(self, caller: Principal, scope: Scope) -> bool:
        """Whether a call that goes on may go on: nothing of its caller has changed or ended.

        Also while nobody can tell.
        """
        try:
            return await self._identify(_key_in(scope), _token_in(scope)) == caller
        except Problem:
            return True

    async def _identify(self, key: bytes, token: bytes) -> Principal | None:
        try:
            if token and not key and self._bearer is not None:
                return await self._bearer.identify(token.decode("latin-1"))
            return await self._doorkeeper.identify(key.decode("latin-1"))
        except DatabaseUnavailable as error:
            raise unavailable("The API keys cannot be read at the moment.") from error
        except KeysUnavailable as error:
            raise unavailable("The issuer's keys cannot be read at the moment.") from error

    async def _count_bad(self, key: bytes, scope: Scope) -> None:
        """Raises a 429 `Problem` where too many wrong keys came from this address.

        A call without any is no attempt. Good keys from there are let in as ever: else whoever
        shares the address could lock them out.
        """
        if key and self._limits.bad_keys:
            client = f"bad-key:{_client_of(scope)}"
            verdict = await self._limiter.hit(client, self._limits.bad_keys)
            if not verdict.allowed:
                raise _too_many(verdict)


class Admission:
    """Lets in who may call, and puts the `Principal` into the request's state."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _is_guarded(scope["path"]):
            await self._app(scope, receive, send)
            return
        if self._under_way >= MOST_AT_ONCE:
            metrics.REQUESTS_SHED.inc()
            problem = unavailable("Too many calls are under way.")
            await problem.to_response()(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._under_way -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        door: Door = scope["app"].state.services.door
        try:
            principal, verdict = await door.admit(scope)
        except Problem as problem:
            await problem.to_response()(scope, receive, send)
            return
        if verdict is not None:
            send = _with_headers(send, verdict)
            if not verdict.allowed:
                await _too_many(verdict).to_response()(scope, receive, send)
                return
        if "\0" in scope["path"]:
            # Nothing has such a name, and PostgreSQL has no text for it.
            await not_found("There is nothing at this path: /docs lists all calls.").to_response()(
                scope, receive, send
            )
            return
        scope.setdefault("state", {})[PRINCIPAL] = principal
        await self._app(scope, receive, send)


def _is_guarded(path: str) -> bool:
    return (path == GUARDED or path.startswith(GUARDED + "/")) and path not in _OPEN_PATHS


def _key_in(scope: Scope) -> bytes:
    """The key; what none can be where the header is there and says nothing."""
    return next((value or b"-" for name, value in scope["headers"] if name == b"x-api-key"), b"")


def _token_in(scope: Scope) -> bytes:
    """What follows Bearer; what no token can be where the header says anything else."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if not given:
        return b""
    scheme, _, token = given[0].partition(b" ")
    return token if len(given) == 1 and token and scheme.lower() == b"bearer" else b"-"


def _client_of(scope: Scope) -> str:
    return client_of(scope["client"][0] if scope["client"] else "")


def _with_headers(send: Send, verdict: Verdict) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).raw.extend(verdict.headers())
        await send(message)

    return send_with_headers


def _too_many(verdict: Verdict) -> Problem:
    return Problem(
        429,
        "too-many-requests",
        "Too many automation requests",
        f"{verdict.limit} such calls a minute are allowed.",
        headers={"Retry-After": str(verdict.reset_seconds)},
        members={"retryAfter": WINDOW_SECONDS},
    )
