"""How often Google may be called: moving minutes in Redis, for all workers together.

Reads and writes apart, each per project and per user of it. What a 429 says of a limit is
believed for a day. While Redis is away each worker counts for itself.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from mirsal_runtime import metrics
from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from sheets_worker.credentials import Identity
from sheets_worker.errors import CallKind, Limit
from sheets_worker.settings import SheetsSettings

SCOPES: Final = ("user", "project")
WINDOW_SECONDS = 60.0
SHORTEST_WAIT = 0.05
REDIS_SECONDS = 1.0
REST_SECONDS = 2.0
CONNECTIONS = 8
LEARNED_SECONDS = 86_400
FRESH_SECONDS = 30.0

log = structlog.get_logger(__name__)


class Grant(NamedTuple):
    """`wait`: 0 if the call may be made, or in how many seconds to ask again. `pace`: seconds
    that should lie between calls so that the minute is not used up in its first seconds."""

    wait: float
    pace: float = 0.0


class Quota:
    """Asks for one call at a time. Never fails."""

    def __init__(self, url: SecretStr, settings: SheetsSettings) -> None:
        self._pool = BlockingConnectionPool.from_url(
            url.get_secret_value(),
            max_connections=CONNECTIONS,
            timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
        )
        self._redis = Redis(connection_pool=self._pool)
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            connection_pool=self._pool,  # type: ignore[arg-type] # documented, not declared
        )
        self._shared = MovingWindowRateLimiter(storage)
        self._own: defaultdict[str, deque[float]] = defaultdict(deque)
        self._rests_until = 0.0
        self._given: Mapping[tuple[CallKind, str], int] = {
            ("read", "project"): settings.reads_per_minute,
            ("write", "project"): settings.writes_per_minute,
            ("read", "user"): settings.user_reads_per_minute,
            ("write", "user"): settings.user_writes_per_minute,
        }
        self._learned: dict[str, tuple[int | None, float]] = {}

    async def take(self, kind: CallKind, identity: Identity) -> Grant:
        """Count one call, if it may be made."""
        now = time.monotonic()
        if now >= self._rests_until:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    return await self._take_shared(kind, identity)
            except (RedisError, OSError, TimeoutError) as error:
                self._rests_until = now + REST_SECONDS
                log.warning("quota_alone", error=error)
        return self._take_own(kind, identity, now)

    async def learn(self, limit: Limit, identity: Identity) -> None:
        """Believe what Google says of a limit."""
        name = _name(limit.kind, limit.scope, identity)
        if self._learned.get(name, (None, 0.0))[0] == limit.per_minute:
            return
        self._learned[name] = (limit.per_minute, time.monotonic() + LEARNED_SECONDS)
        log.info("quota_learned", kind=limit.kind, scope=limit.scope, per_minute=limit.per_minute)
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                await self._redis.set(_key(name), limit.per_minute, ex=LEARNED_SECONDS)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("quota_alone", error=error)

    async def stop(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()

    async def _take_shared(self, kind: CallKind, identity: Identity) -> Grant:
        pace = 0.0
        for scope in SCOPES:
            name = _name(kind, scope, identity)
            item = RateLimitItemPerMinute(await self._limit_of(kind, scope, name))
            granted = await self._shared.hit(item, name)
            stats = await self._shared.get_window_stats(item, name)
            _show(kind, scope, stats.remaining)
            if not granted:
                return Grant(max(SHORTEST_WAIT, stats.reset_time - time.time()))
            pace = max(pace, _pace(item.amount, stats.remaining))
        return Grant(0.0, pace)

    def _take_own(self, kind: CallKind, identity: Identity, now: float) -> Grant:
        pace = 0.0
        names = [_name(kind, scope, identity) for scope in SCOPES]
        for scope, name in zip(SCOPES, names, strict=True):
            calls = self._own[name]
            while calls and calls[0] <= now - WINDOW_SECONDS:
                calls.popleft()
            limit = self._learned.get(name, (None, 0.0))[0] or self._given[kind, scope]
            _show(kind, scope, max(0, limit - len(calls) - 1))
            if len(calls) >= limit:
                return Grant(max(SHORTEST_WAIT, calls[0] + WINDOW_SECONDS - now))
            pace = max(pace, _pace(limit, limit - len(calls) - 1))
        for name in names:
            self._own[name].append(now)
        return Grant(0.0, pace)

    async def _limit_of(self, kind: CallKind, scope: str, name: str) -> int:
        learned, until = self._learned.get(name, (None, 0.0))
        if time.monotonic() >= until:
            found = await self._redis.get(_key(name))
            learned = int(found) if found else None
            self._learned[name] = (learned, time.monotonic() + FRESH_SECONDS)
        return learned or self._given[kind, scope]


@asynccontextmanager
async def open_quota(url: SecretStr, settings: SheetsSettings) -> AsyncIterator[Quota]:
    """The quota, with its connections."""
    quota = Quota(url, settings)
    try:
        yield quota
    finally:
        await quota.stop()


def _pace(limit: int, remaining: int) -> float:
    """None for the first half of the minute's calls, then evenly."""
    return 0.0 if remaining > limit // 2 else WINDOW_SECONDS / limit


def _show(kind: CallKind, scope: str, left: int) -> None:
    """Say how many calls the running minute has left, as this worker saw it last."""
    metrics.PROVIDER_BUDGET.labels("google_sheets", f"{scope}_{kind}s").set(left)


def _name(kind: CallKind, scope: str, identity: Identity) -> str:
    whose = identity.project if scope == "project" else f"{identity.project}:{identity.user}"
    return f"sheets:{kind}:{scope}:{whose}"


def _key(name: str) -> str:
    return f"mirsal:limit:{name}"
